import { Agent, get } from 'node:http'
import type { Answer, Part } from './answer.ts'

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

/** A response with its whole body. */
export interface Fetched {
  readonly status: number
  readonly body: string
}

/** GETs a URL over a kept-alive connection. Rejects when the connection fails or `timeoutMs` passes. */
export function fetchText(
  url: string,
  headers: Record<string, string> = {},
  timeoutMs = 5_000,
): Promise<Fetched> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, headers, timeout: timeoutMs }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      )
    })
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)))
    request.on('error', reject)
  })
}

/** Asks another service of the application for its part. Never rejects: a failure is a part, too. */
export async function ask<T>(url: string, headers: Record<string, string>): Promise<Part<T>> {
  try {
    const { status, body } = await fetchText(url, headers)
    const answer = readAnswer<T>(body)
    if (answer !== undefined && (status === 200 || answer.failures.length > 0)) return answer
    return failed(`${url} answered ${status}: ${body.trim().slice(0, 120)}`)
  } catch (failure) {
    return failed(`${url}: ${failure instanceof Error ? failure.message : String(failure)}`)
  }
}

/** A part that failed with nobody behind it having answered. */
export function failed(reason: string): Part<never> {
  return { ok: false, servedBy: [], failures: [reason] }
}

function readAnswer<T>(body: string): Answer<T> | undefined {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null && 'servedBy' in value && 'failures' in value
      ? (value as Answer<T>)
      : undefined
  } catch {
    // Not JSON: a proxy's own error page. The caller reports it with its status.
    return undefined
  }
}
