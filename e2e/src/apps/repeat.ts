import type { Outcome } from './protocol.ts'

const TIMEOUT_MS = 15_000

/** Makes `count` calls, `concurrency` at a time. Each has its own time limit; one that fails is an outcome like any other. */
export async function repeat(
  {
    count = 1,
    concurrency = 1,
    timeoutMs = TIMEOUT_MS,
  }: { count?: number; concurrency?: number; timeoutMs?: number },
  call: (signal: AbortSignal) => Promise<Omit<Outcome, 'ms'>>,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = []
  let started = 0
  const worker = async () => {
    while (started < count) {
      started += 1
      const since = performance.now()
      const outcome = await call(AbortSignal.timeout(timeoutMs)).catch(failed)
      outcomes.push({ ...outcome, ms: performance.now() - since })
    }
  }
  await Promise.all(Array.from({ length: Math.min(count, concurrency) }, worker))
  return outcomes
}

function failed(reason: unknown): Omit<Outcome, 'ms'> {
  const code = reason instanceof Error && 'code' in reason ? `${String(reason.code)}: ` : ''
  const message = reason instanceof Error ? reason.message : String(reason)
  return { error: `${code}${message}`, status: 0, headers: {}, body: '' }
}
