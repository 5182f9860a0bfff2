import { setTimeout as pause } from 'node:timers/promises'
import { errorMessage } from '@seine/kit'

const EVERY_MS = 200
const ANSWER_MS = 1000

/**
 * Waits until the agent is ready: what Kubernetes runs so that an application does not start before it.
 *
 * @returns undefined once it is, or what it still waited for when the time was over
 */
export async function waitUntilReady(healthPort: number, timeoutMs: number): Promise<string | undefined> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const reason = await notReady(healthPort)
    if (reason === undefined || Date.now() >= end) return reason
    await pause(EVERY_MS)
  }
}

async function notReady(port: number): Promise<string | undefined> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/healthz/ready`, {
      headers: { connection: 'close' },
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    return answer.ok ? undefined : await answer.text()
  } catch (failure) {
    return `the agent does not answer at port ${port}: ${errorMessage(failure)}`
  }
}
