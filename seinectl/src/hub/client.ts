import type { Terminal } from '../terminal.ts'

/** Where seined answers unless a flag or SEINE_SERVER says otherwise. */
export const DEFAULT_SERVER = 'http://127.0.0.1:15080'

/** An answer of the hub, or why there is none, for a person. */
export type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: string }

/** The hub's address from the flag, the environment or the default, without a slash at its end. */
export function serverUrl(flag: string | undefined, terminal: Terminal): string {
  const url = flag ?? (terminal.env['SEINE_SERVER'] || DEFAULT_SERVER)
  return (/^https?:\/\//.test(url) ? url : `http://${url}`).replace(/\/+$/, '')
}

/** Asks the hub for a JSON document. */
export async function ask(server: string, path: string, timeoutMs = 10_000): Promise<Answer> {
  try {
    const response = await fetch(server + path, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (response.ok) return { ok: true, value: await response.json() }
    return {
      ok: false,
      error: `${server}${path} answers ${response.status}: ${reason(await response.text())}`,
    }
  } catch (failure) {
    return {
      ok: false,
      error: `seined does not answer at ${server} (${causeOf(failure)}): start it, or give its address with --server or SEINE_SERVER`,
    }
  }
}

/** The message in an error body of the hub, else its first line. */
function reason(body: string): string {
  try {
    const parsed: unknown = JSON.parse(body)
    if (typeof parsed === 'object' && parsed !== null) {
      if ('message' in parsed && typeof parsed.message === 'string') return parsed.message
      if ('error' in parsed && typeof parsed.error === 'string') return parsed.error
    }
  } catch {
    // Not JSON: some other server answers there, and its own words say most.
  }
  return body.split('\n', 1)[0]?.slice(0, 200) || 'no reason given'
}

function causeOf(failure: unknown): string {
  if (!(failure instanceof Error)) return String(failure)
  if (failure.name === 'TimeoutError') return 'no answer in time'
  const { cause } = failure
  if (cause instanceof Error && 'code' in cause) return String(cause.code)
  return cause instanceof Error ? cause.message : failure.message
}
