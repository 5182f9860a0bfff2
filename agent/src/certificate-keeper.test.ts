import { X509Certificate } from 'node:crypto'
import { type Client, Metadata, status } from '@grpc/grpc-js'
import { createMetrics, FakeClock, silentLogger } from '@seine/kit'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { TestAuthority } from '../test/authority.ts'
import { type ControlPlane, plainClient, startControlPlane } from '../test/control-plane.ts'
import { testSettings } from '../test/settings.ts'
import { CertificateKeeper, type WorkloadCertificate } from './certificate-keeper.ts'

const HOUR_MS = 3_600_000
let authority: TestAuthority
let clock: FakeClock
let citadel: ControlPlane
let client: Client
let keeper: CertificateKeeper
let received: WorkloadCertificate[]
let random: number
/** What citadel answers with. */
let answer: (csr: string, ttlS: number) => Promise<string[] | { code: status; details: string }>
let calls: { token: string; ttlS: number }[]
const metrics = createMetrics()

beforeAll(async () => {
  authority = await TestAuthority.create()
})

beforeEach(async () => {
  metrics.clear()
  clock = new FakeClock(Date.now())
  calls = []
  received = []
  random = 1
  answer = (csr, ttlS) => authority.sign(csr, { notAfter: new Date(clock.now() + ttlS * 1000) })
  citadel = await startControlPlane({
    onCsr: (csr, ttlS, token) => {
      calls.push({ token, ttlS })
      return answer(csr, ttlS)
    },
  })
  client = plainClient(`127.0.0.1:${citadel.port}`)
  keeper = makeKeeper({})
  keeper.subscribe(certificate => received.push(certificate))
})

function makeKeeper(settings: Parameters<typeof testSettings>[0]): CertificateKeeper {
  let reads = 0
  return new CertificateKeeper({
    settings: testSettings({ certificateTtlMs: HOUR_MS, ...settings }),
    client,
    authorize: async () => {
      const metadata = new Metadata()
      metadata.set('authorization', `Bearer token-${++reads}`)
      return metadata
    },
    clock,
    logger: silentLogger,
    metrics,
    random: () => random,
  })
}

afterEach(() => {
  keeper.close()
  client.close()
  citadel.stop()
})

/** Waits until the keeper has done what it is about and set its next timer. @returns in how many ms that is. */
async function nextTry(): Promise<number> {
  return vi.waitFor(
    () => {
      const [first] = clock.pending
      if (first === undefined) throw new Error('no timer is set')
      return first
    },
    { interval: 2, timeout: 20_000 },
  )
}

describe('CertificateKeeper', () => {
  it('trusts the authorities that the settings name beside the root', async () => {
    keeper.close()
    metrics.clear()
    keeper = makeKeeper({ trustedRoots: 'another' })
    keeper.start()
    await nextTry()
    expect(keeper.current?.root).toBe(`${authority.rootPem.trimEnd()}\nanother\n`)
  })

  it('gets a certificate for its key and tells those who want to know', async () => {
    keeper.start()
    await nextTry()
    const [certificate] = received
    expect(received.length).toBe(1)
    expect(certificate).toBe(keeper.current)
    expect(certificate?.identity).toBe('spiffe://cluster.local/ns/default/sa/bookinfo-reviews')
    expect(certificate?.root).toBe(authority.rootPem)
    expect(certificate?.chain.match(/BEGIN CERTIFICATE/g)?.length).toBe(1)
    const leaf = new X509Certificate(certificate?.chain ?? '')
    expect(leaf.verify(new X509Certificate(authority.rootPem).publicKey)).toBe(true)
    expect(calls).toEqual([{ token: 'token-1', ttlS: 3600 }])
    const seconds = Math.floor((clock.now() + HOUR_MS) / 1000)
    expect(await metrics.metrics()).toContain(
      `seine_agent_certificate_not_after_seconds{identity="${certificate?.identity}",serial="${leaf.serialNumber}"} ${seconds}`,
    )
    // Whoever asks later gets it at once.
    const late: WorkloadCertificate[] = []
    keeper.subscribe(one => late.push(one))
    expect(late).toEqual([certificate])
  })

  it.each([
    [1, 2 / 3],
    [0, 0.6],
  ])('renews it well before it ends, spread by chance (%d), with a new key and a new token', async (chance, share) => {
    random = chance
    keeper.start()
    const wait = await nextTry()
    // Certificates count whole seconds.
    expect(Math.abs(wait - HOUR_MS * share)).toBeLessThan(1000)
    clock.advance(wait - 1)
    expect(calls.length).toBe(1)
    clock.advance(1)
    await nextTry()
    const [first, second] = received
    expect(received.length).toBe(2)
    expect(second?.serial).not.toBe(first?.serial)
    expect(second?.key.reveal()).not.toBe(first?.key.reveal())
    expect(second?.notAfter).toBeGreaterThan(first?.notAfter ?? 0)
    expect(calls.map(({ token }) => token)).toEqual(['token-1', 'token-2'])
  })

  it('keeps the last one while citadel is away, asks with growing pauses, and has a new one when it is back', async () => {
    keeper.start()
    clock.advance(await nextTry())
    await nextTry()
    const held = keeper.current
    const { port } = citadel
    citadel.stop()
    clock.advance(await nextTry())
    const pauses: number[] = []
    for (let at = 0; at < 9; at++) {
      const pause = await nextTry()
      pauses.push(pause)
      expect(keeper.current).toBe(held)
      if (at < 8) clock.advance(pause)
    }
    expect(keeper.failure).toMatch(/ECONNREFUSED/)
    expect(pauses).toEqual([200, 400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000])
    citadel = await startControlPlane({ onCsr: (csr, ttlS) => answer(csr, ttlS), port })
    // Right after the failures the channel may wait a little before it connects again.
    await vi.waitFor(
      () => {
        for (const pause of clock.pending) clock.advance(pause)
        expect(keeper.current?.serial).not.toBe(held?.serial)
      },
      { interval: 20, timeout: 20_000 },
    )
    expect(keeper.failure).toBeUndefined()
    expect(await nextTry()).toBeGreaterThan(HOUR_MS / 2)
  })

  it('spreads its retries by chance', async () => {
    random = 0
    answer = async () => ({ code: status.UNAVAILABLE, details: 'no' })
    keeper.start()
    expect(await nextTry()).toBe(100)
  })

  it.each<[string, typeof answer, string]>([
    [
      'a refusal',
      async () => ({ code: status.PERMISSION_DENIED, details: 'the CSR asks for another' }),
      'the CSR asks for another',
    ],
    [
      'a certificate for another key',
      (csr, ttlS) =>
        authority.sign(csr, { notAfter: new Date(Date.now() + ttlS * 1000), withOtherKey: true }),
      "citadel's certificate is for another key than the one that was sent",
    ],
    [
      "somebody else's certificate",
      (csr, ttlS) =>
        authority.sign(csr, {
          notAfter: new Date(Date.now() + ttlS * 1000),
          identity: 'spiffe://cluster.local/ns/default/sa/admin',
        }),
      "citadel's certificate is for spiffe://cluster.local/ns/default/sa/admin, not for spiffe://cluster.local/ns/default/sa/bookinfo-reviews",
    ],
    [
      'a certificate without its root',
      async (csr, ttlS) =>
        (await authority.sign(csr, { notAfter: new Date(Date.now() + ttlS * 1000) })).slice(0, 1),
      "citadel's answer holds no certificate and its root",
    ],
    ['nothing', async () => [], "citadel's answer holds no certificate and its root"],
  ])('does not take %s, says so, and asks again', async (_name, wrong, reason) => {
    const warn = vi.spyOn(silentLogger, 'warn')
    try {
      const right = answer
      answer = wrong
      keeper.start()
      const pause = await nextTry()
      expect(keeper.current).toBeUndefined()
      expect(warn.mock.calls).toEqual([
        [{ reason, retryInMs: 200, holdsOne: false }, 'no certificate from citadel'],
      ])
      answer = right
      clock.advance(pause)
      await nextTry()
      expect(received.length).toBe(1)
    } finally {
      warn.mockRestore()
    }
  })

  it('does not ask without end when its clock is ahead of citadel', async () => {
    answer = csr => authority.sign(csr, { notAfter: new Date(clock.now() - HOUR_MS) })
    keeper.start()
    expect(await nextTry()).toBe(1000)
  })

  it('does nothing more once it is closed', async () => {
    keeper.start()
    await nextTry()
    keeper.close()
    clock.advance(HOUR_MS)
    expect(clock.pending).toEqual([])
    expect(calls.length).toBe(1)
  })
})
