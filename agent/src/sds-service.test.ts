import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import {
  type Client,
  type ClientDuplexStream,
  Metadata,
  Server,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { TypeUrl } from '@seine/envoy'
import { SecretSchema } from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/secret'
import {
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { createMetrics, FakeClock, silentLogger } from '@seine/kit'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { TestAuthority } from '../test/authority.ts'
import { type ControlPlane, listen, plainClient, same, startControlPlane } from '../test/control-plane.ts'
import { testSettings } from '../test/settings.ts'
import { CertificateKeeper } from './certificate-keeper.ts'
import { addSecretService } from './sds-service.ts'

const METHOD = '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets'
let folder: string
let citadel: ControlPlane
let upstream: Client
let envoy: Client
let server: Server
let keeper: CertificateKeeper
let clock: FakeClock

beforeEach(async () => {
  const authority = await TestAuthority.create()
  clock = new FakeClock(Date.now())
  citadel = await startControlPlane({
    onCsr: (csr, ttlS) => authority.sign(csr, { notAfter: new Date(clock.now() + ttlS * 1000) }),
  })
  upstream = plainClient(`127.0.0.1:${citadel.port}`)
  keeper = new CertificateKeeper({
    settings: testSettings(),
    client: upstream,
    authorize: async () => new Metadata(),
    clock,
    logger: silentLogger,
    metrics: createMetrics(),
    random: () => 1,
  })
  folder = await mkdtemp(join(tmpdir(), 'seine-sds-'))
  server = new Server()
  addSecretService(server, keeper, silentLogger)
  await listen(server, `unix:${folder}/agent.sock`)
  envoy = plainClient(`unix:${folder}/agent.sock`)
})

afterEach(async () => {
  keeper.close()
  envoy.close()
  upstream.close()
  server.forceShutdown()
  citadel.stop()
  vi.restoreAllMocks()
  await rm(folder, { recursive: true })
})

/** One of Envoy's subscriptions. */
class Subscription {
  readonly arrived: { nonce: string; version: string; secrets: Record<string, string> }[] = []
  readonly failed: Promise<ServiceError>
  readonly #stream: ClientDuplexStream<Buffer, Buffer>

  constructor() {
    this.#stream = envoy.makeBidiStreamRequest(METHOD, same, same, new Metadata())
    this.#stream.on('data', (message: Buffer) => {
      const { nonce, versionInfo, resources } = fromBinary(DiscoveryResponseSchema, message)
      const secrets = resources.map(({ value }) => fromBinary(SecretSchema, value))
      this.arrived.push({
        nonce,
        version: versionInfo,
        secrets: Object.fromEntries(secrets.map(({ name, type }) => [name, type.case ?? ''])),
      })
      this.last = secrets
    })
    this.failed = new Promise(resolve => this.#stream.on('error', resolve))
  }

  last: ReturnType<typeof fromBinary<typeof SecretSchema>>[] = []

  ask(init: MessageInitShape<typeof DiscoveryRequestSchema>): void {
    const request = create(DiscoveryRequestSchema, { typeUrl: TypeUrl.secret, ...init })
    this.#stream.write(Buffer.from(toBinary(DiscoveryRequestSchema, request)))
  }

  write(message: Buffer): void {
    this.#stream.write(message)
  }

  /** The response with that number, once it is there. */
  async response(number: number) {
    await vi.waitFor(() => expect(this.arrived.length).toBeGreaterThanOrEqual(number), {
      interval: 2,
      timeout: 20_000,
    })
    return this.arrived[number - 1] as (typeof this.arrived)[number]
  }
}

/** Shows that nothing more was sent: another question on the same server was answered since. */
async function othersAreAnswered(): Promise<void> {
  const other = new Subscription()
  other.ask({ resourceNames: ['ROOTCA'] })
  await other.response(1)
}

function renewed(): Promise<void> {
  const before = keeper.current
  clock.advance(clock.pending[0] ?? 0)
  return vi.waitFor(() => expect(keeper.current).not.toBe(before), { interval: 2, timeout: 20_000 })
}

describe('the secret service', () => {
  it('serves the certificate with its key as `default`, and what is trusted as `ROOTCA`', async () => {
    keeper.start()
    const subscription = new Subscription()
    subscription.ask({ resourceNames: ['default', 'ROOTCA'] })
    const { secrets, version } = await subscription.response(1)
    expect(secrets).toEqual({ default: 'tlsCertificate', ROOTCA: 'validationContext' })
    const held = keeper.current
    expect(version).toBe(held?.serial)
    const inline = (value: string | undefined) => ({ case: 'inlineString', value })
    expect(subscription.last.map(({ type }) => type.value)).toMatchObject([
      {
        certificateChain: { specifier: inline(held?.chain) },
        privateKey: { specifier: inline(held?.key.reveal()) },
      },
      { trustedCa: { specifier: inline(held?.root) } },
    ])
  })

  it('answers those who asked before there was a certificate, and each of several', async () => {
    const [one, other] = [new Subscription(), new Subscription()]
    one.ask({ resourceNames: ['default'] })
    other.ask({ resourceNames: ['ROOTCA'] })
    keeper.start()
    expect((await one.response(1)).secrets).toEqual({ default: 'tlsCertificate' })
    expect((await other.response(1)).secrets).toEqual({ ROOTCA: 'validationContext' })
  })

  it('sends a renewed certificate unasked, and nothing for an acknowledgement', async () => {
    keeper.start()
    const subscription = new Subscription()
    subscription.ask({ resourceNames: ['default'] })
    const first = await subscription.response(1)
    subscription.ask({ resourceNames: ['default'], responseNonce: first.nonce, versionInfo: first.version })
    await othersAreAnswered()
    expect(subscription.arrived.length).toBe(1)
    await renewed()
    const second = await subscription.response(2)
    expect(second.version).not.toBe(first.version)
    expect(second.nonce).not.toBe(first.nonce)
  })

  it('says in the log when Envoy rejects a secret or asks for one that there is not, and serves on', async () => {
    const error = vi.spyOn(silentLogger, 'error')
    const warn = vi.spyOn(silentLogger, 'warn')
    keeper.start()
    const subscription = new Subscription()
    subscription.ask({ resourceNames: ['default', 'kubernetes://tls'] })
    const { nonce, secrets } = await subscription.response(1)
    expect(secrets).toEqual({ default: 'tlsCertificate' })
    expect(warn.mock.calls).toEqual([
      [{ unknown: ['kubernetes://tls'] }, 'envoy asks for secrets that the agent does not have'],
    ])
    subscription.ask({
      resourceNames: ['default'],
      responseNonce: nonce,
      errorDetail: { code: 3, message: 'key does not match' },
    })
    await vi.waitFor(() => expect(error.mock.calls.length).toBe(1), { interval: 2, timeout: 20_000 })
    expect(error.mock.calls[0]?.[0]).toMatchObject({ reason: 'key does not match' })
    await renewed()
    await vi.waitFor(() => expect(subscription.arrived.at(-1)?.version).toBe(keeper.current?.serial), {
      interval: 2,
      timeout: 20_000,
    })
  })

  it('ends a stream that sends no request, and only that', async () => {
    keeper.start()
    const bad = new Subscription()
    bad.write(Buffer.from('GET / HTTP/1.1'))
    expect((await bad.failed).code).toBe(status.INVALID_ARGUMENT)
    await othersAreAnswered()
  })
})
