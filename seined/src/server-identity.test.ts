import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { Citadel } from '@seine/citadel'
import { createMetrics, FakeClock, silentLogger } from '@seine/kit'
import { freePorts } from '@seine/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { grpcServer, listenGrpc } from './grpc.ts'
import { type ServerCertificate, ServerIdentity } from './server-identity.ts'

const HOUR_MS = 3_600_000

/** Lets promises that are settled already take effect. */
const turn = () => new Promise<void>(resolve => setImmediate(resolve))

describe('a server certificate', () => {
  let clock: FakeClock
  let issued: number
  let failures: number

  /** The n-th certificate is called `n` and is good for three hours. */
  const request = async (): Promise<ServerCertificate> => {
    if (failures > 0) {
      failures -= 1
      throw new Error('citadel is away')
    }
    issued += 1
    return { certificate: `${issued}`, key: 'key', notAfter: new Date(clock.now() + 3 * HOUR_MS) }
  }

  beforeEach(() => {
    clock = new FakeClock()
    issued = 0
    failures = 0
  })

  it('is renewed at two thirds of its life, for whoever serves with it', async () => {
    const identity = await ServerIdentity.obtain({ request, clock, logger: silentLogger })
    const told: string[] = []
    identity.addIdentityCertificateListener(update => told.push(`${update?.certificate}`))
    await turn()
    clock.advance(2 * HOUR_MS - 1)
    await turn()
    expect(told).toEqual(['1'])
    clock.advance(1)
    await turn()
    clock.advance(2 * HOUR_MS)
    await turn()
    expect(told).toEqual(['1', '2', '3'])
    await identity.close()
    clock.advance(100 * HOUR_MS)
    await turn()
    expect(issued).toBe(3)
  })

  it('stays in use while none can be had, and is asked for again', async () => {
    const identity = await ServerIdentity.obtain({ request, clock, logger: silentLogger })
    failures = 2
    clock.advance(2 * HOUR_MS)
    for (const _ of [1, 2, 3]) {
      await turn()
      clock.advance(5000)
    }
    await turn()
    expect([failures, issued]).toEqual([0, 2])
    await identity.close()
  })

  it('can not be renewed if the first could not be had', async () => {
    failures = 1
    await expect(ServerIdentity.obtain({ request, clock, logger: silentLogger })).rejects.toThrow(
      'citadel is away',
    )
  })
})

describe('a gRPC server', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'seine-identity-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('shows new clients its newest certificate', async () => {
    const clock = new FakeClock(Date.now())
    const citadel = await Citadel.open({
      ...{ folder, clock, logger: silentLogger, metrics: createMetrics() },
      ...{ trustDomain: 'cluster.local', maxTtlMs: HOUR_MS },
    })
    const request = () => citadel.serverCertificate(['localhost'], ['127.0.0.1'])
    const identity = await ServerIdentity.obtain({ request, clock, logger: silentLogger })
    const [port = 0] = await freePorts(1)
    const wanted = { host: '127.0.0.1', port, purpose: 'a test', option: '--port' }
    const listening = await listenGrpc(
      grpcServer(() => {}),
      wanted,
      identity,
    )
    const first = await serialAt(port, citadel.rootPem)
    clock.advance(60 * 24 * HOUR_MS)
    await expect.poll(() => serialAt(port, citadel.rootPem)).not.toBe(first)
    await Promise.all([listening.close(), identity.close()])
  })
})

/** The serial number of the certificate that a new client is shown. */
function serialAt(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // By the test's clock it is later than by the machine's: the certificate's time is not what is looked at.
    const options = { host: '127.0.0.1', port, ca, servername: 'localhost', rejectUnauthorized: false }
    const socket = connect({ ...options, ALPNProtocols: ['h2'] }, () => {
      resolve(socket.getPeerCertificate().serialNumber)
      socket.destroy()
    })
    socket.on('error', reject)
  })
}
