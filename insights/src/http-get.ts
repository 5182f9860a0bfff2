import { request } from 'node:http'
import type { Clock } from '@seine/kit'

/** What is asked for, and what it may cost. */
export interface GetOptions {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly clock: Clock
  /** From the call to the last byte. */
  readonly deadlineMs: number
  readonly maxBytes: number
  /** Ends the call early. Its reason is the error. */
  readonly signal: AbortSignal
  /** Takes the body as it comes. An error that it throws ends the call. */
  readonly onData: (chunk: Buffer) => void
}

/** GETs over HTTP. @returns the status once the body is whole. Rejects with what went wrong, for a person. */
export function httpGet(options: GetOptions): Promise<number> {
  const { host, port, path, clock, deadlineMs, maxBytes, signal, onData } = options
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      cancel()
      signal.removeEventListener('abort', abort)
      settle()
    }
    // No connection is kept: the next call is seconds away, and a pod may be another by then.
    const call = request({ host, port, path, agent: false }, response => {
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        try {
          if (size > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`)
          onData(chunk)
        } catch (failure) {
          call.destroy(failure as Error)
        }
      })
      response.on('end', () => end(() => resolve(response.statusCode ?? 0)))
      response.on('error', failure => end(() => reject(failure)))
    })
    const cancel = clock.after(deadlineMs, () =>
      call.destroy(new Error(`no whole answer within ${deadlineMs} ms`)),
    )
    const abort = () => call.destroy(signal.reason as Error)
    signal.addEventListener('abort', abort)
    call.on('error', failure => end(() => reject(failure)))
    if (signal.aborted) abort()
    else call.end()
  })
}
