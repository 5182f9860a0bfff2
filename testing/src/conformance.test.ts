import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CaseRequest, type Expected, readCases } from './conformance-case.ts'
import type { Answer } from './conformance-request.ts'
import { ConformanceWorld } from './conformance-world.ts'
import { eventually } from './eventually.ts'

const FOLDER = fileURLToPath(new URL('../../conformance', import.meta.url))

function counts(answers: readonly Answer[], of: (answer: Answer) => string | undefined) {
  const found: Record<string, number> = {}
  for (const answer of answers) {
    const key = of(answer)
    if (key !== undefined) found[key] = (found[key] ?? 0) + 1
  }
  return found
}

function check({ expect: wanted, times = 1, ...request }: CaseRequest, answers: readonly Answer[]): void {
  const backends = counts(answers, ({ seen }) => seen?.backend)
  const at = `${JSON.stringify(request)} ${JSON.stringify(answers[0], null, 1)}`
  const failure = wanted.answered === false ? 'gave up' : wanted.refused ? 'refused' : 'none'
  expect(
    counts(answers, one => one.failure ?? 'none'),
    at,
  ).toEqual({ [failure]: times })
  if (wanted.status !== undefined)
    expect(
      counts(answers, one => String(one.status)),
      at,
    ).toEqual({ [wanted.status]: times })
  if (wanted.mixed)
    expect(Object.keys(counts(answers, one => String(one.status))).sort(), at).toEqual(wanted.mixed)
  if (wanted.backends) expect(Object.keys(backends).sort(), at).toEqual([...wanted.backends].sort())
  if (wanted.stuck) expect(Object.keys(backends), at).toHaveLength(1)
  for (const [name, share] of Object.entries(wanted.shares ?? {}))
    expect(
      Math.abs((backends[name] ?? 0) / times - share),
      `${name} of ${JSON.stringify(backends)}`,
    ).toBeLessThan(4.5 * Math.sqrt((share * (1 - share)) / times))
  if (wanted.connections !== undefined)
    expect(new Set(answers.map(({ seen }) => seen?.callerPort)).size, 'connections').toBe(wanted.connections)
  const [answer] = answers
  if (answer) checkOne(wanted, answer, at)
}

function checkOne(wanted: Expected, answer: Answer, at: string): void {
  if (wanted.body !== undefined) expect(answer.body).toBe(wanted.body)
  checkHeaders(wanted.headers, answer.headers, at)
  if (wanted.afterMs !== undefined) expect(answer.tookMs, at).toBeGreaterThan(wanted.afterMs)
  for (const key of ['certificate', 'tlsVersion', 'cipher'] as const)
    if (wanted[key] !== undefined) expect(answer[key], at).toBe(wanted[key])
  const { headers = {}, tls, ...plain } = wanted.seen ?? {}
  checkHeaders(headers, answer.seen?.headers ?? {}, at)
  for (const [key, value] of Object.entries(plain))
    expect(answer.seen?.[key as keyof typeof plain] ?? null, `${key}: ${at}`).toBe(value)
  if (tls === null) expect(answer.seen?.tls, at).toBeUndefined()
  for (const [key, value] of Object.entries(tls ?? {}))
    expect(answer.seen?.tls?.[key as 'sni' | 'client'], `${key}: ${at}`).toBe(value)
}

function checkHeaders(wanted: Expected['headers'], headers: Answer['headers'], at: string): void {
  for (const [name, value] of Object.entries(wanted ?? {}))
    if (value?.startsWith('~')) expect(String(headers[name]), at).toMatch(new RegExp(value.slice(1)))
    else expect(headers[name] ?? null, `${name}: ${at}`).toBe(value)
}

describe('conformance: requests through real Envoys', () => {
  let world: ConformanceWorld
  beforeAll(async () => {
    world = await ConformanceWorld.start()
  })
  afterAll(() => world.stop())

  it.each(readCases(FOLDER).map(one => [one.name, one] as const))('%s', async (name, one) => {
    const running = await world.run(one)
    try {
      for (const [index, request] of running.written.requests.entries()) {
        const id = `${name}#${index}`
        const attempt = async () => check(request, await running.sendAll(request, id))
        await (request.eventually ? eventually(attempt) : attempt())
        const { arrivals } = request.expect
        // Mirrors arrive in their own time.
        if (arrivals) await eventually(async () => expect(world.arrivals(id)).toEqual(arrivals))
      }
    } finally {
      await running.stop()
    }
  })
})
