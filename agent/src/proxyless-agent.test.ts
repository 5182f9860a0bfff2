import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { silentLogger, systemClock } from '@seine/kit'
import { eventually, freePorts } from '@seine/testing'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AGENT_PORTS, agentPorts } from '../test/agent-ports.ts'
import { TestAuthority } from '../test/authority.ts'
import { type ControlPlane, plainClient, same, startControlPlane, tokenOf } from '../test/control-plane.ts'
import { testSettings } from '../test/settings.ts'
import { ProxylessAgent } from './proxyless-agent.ts'
import type { AgentPorts } from './settings.ts'
import { waitUntilReady } from './wait.ts'

const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService/'
const SDS = '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets'

let authority: TestAuthority
let folder: string
let ports: AgentPorts
let pilot: ControlPlane
let agent: ProxylessAgent
let asked: string[]

beforeAll(async () => {
  authority = await TestAuthority.create()
})

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seine-proxyless-'))
  asked = []
  await writeFile(join(folder, 'token'), 'token-of-reviews\n')
  await writeFile(join(folder, 'root-cert.pem'), authority.rootPem)
  ports = agentPorts(await freePorts(AGENT_PORTS))
  pilot = await startControlPlane({
    tls: await authority.server([{ type: 'dns', value: 'seined.seine-system.svc' }]),
    onCsr: (csr, ttlS, token) => {
      asked.push(`csr ${token}`)
      return authority.sign(csr, { notAfter: new Date(Date.now() + ttlS * 1000) })
    },
    onStream: (call, method) => {
      call.on('error', () => {})
      call.on('data', (message: Buffer) => {
        asked.push(`${method} ${tokenOf(call)}`)
        call.write(message)
      })
    },
  })
})

afterEach(async () => {
  await agent.stop()
  pilot.stop()
  await rm(folder, { recursive: true })
})

const run = (...names: string[]) => join(folder, 'run', ...names)

async function start(certificateFolder: string | undefined, certificateTtlMs = 3_600_000): Promise<void> {
  agent = new ProxylessAgent({
    settings: testSettings({
      caAddress: `127.0.0.1:${pilot.port}`,
      xdsAddress: `127.0.0.1:${pilot.port}`,
      tokenFile: join(folder, 'token'),
      rootCertFile: join(folder, 'root-cert.pem'),
      runDir: run(),
      certificateTtlMs,
      proxyless: { bootstrapFile: run('own', 'bootstrap.json'), certificateFolder },
      ports,
    }),
    clock: systemClock,
    logger: silentLogger,
    random: () => 1,
  })
  await agent.start()
}

const bootstrap = async () => JSON.parse(await readFile(run('own', 'bootstrap.json'), 'utf8'))
const modeOf = async (path: string) => (await stat(path)).mode & 0o777

describe('the agent of an application that is its own proxy', () => {
  it('writes its bootstrap and, in files of its own user alone, its certificate', async () => {
    await start(run('certs'))
    expect(await waitUntilReady(ports.health, 10_000)).toBeUndefined()
    expect(asked).toEqual(['csr token-of-reviews'])
    expect(await bootstrap()).toEqual({
      xds_servers: [
        {
          server_uri: `unix://${run('xds.sock')}`,
          channel_creds: [{ type: 'insecure' }],
          server_features: ['xds_v3'],
        },
      ],
      node: {
        id: 'sidecar~10.0.0.7~reviews-v1-abc.default~default.svc.cluster.local',
        cluster: 'reviews-v1.default',
        locality: {},
        metadata: expect.objectContaining({ GENERATOR: 'grpc', SERVICE_ACCOUNT: 'bookinfo-reviews' }),
      },
      server_listener_resource_name_template: 'xds.istio.io/grpc/lds/inbound/%s',
      certificate_providers: {
        default: {
          plugin_name: 'file_watcher',
          config: {
            private_key_file: run('certs', 'key.pem'),
            certificate_file: run('certs', 'cert-chain.pem'),
            ca_certificate_file: run('certs', 'root-cert.pem'),
            refresh_interval: '10s',
          },
        },
      },
    })
    expect(await readFile(run('certs', 'key.pem'), 'utf8')).toContain('PRIVATE KEY')
    expect(await readFile(run('certs', 'root-cert.pem'), 'utf8')).toBe(authority.rootPem)
    for (const name of ['key.pem', 'cert-chain.pem', 'root-cert.pem'])
      expect(await modeOf(run('certs', name))).toBe(0o600)
    for (const path of [run(), run('certs')]) expect(await modeOf(path)).toBe(0o700)
    expect(await modeOf(run('xds.sock'))).toBe(0o600)
    expect(await modeOf(run('own', 'bootstrap.json'))).toBe(0o600)
  })

  it('replaces the certificate as a whole, and keeps none that is over', async () => {
    await start(run('certs'), 1000)
    await waitUntilReady(ports.health, 10_000)
    const first = await readFile(run('certs', 'cert-chain.pem'), 'utf8')
    await eventually(
      async () => expect(await readFile(run('certs', 'cert-chain.pem'), 'utf8')).not.toBe(first),
      { everyMs: 20 },
    )
    await agent.stop()
    const generations = (await readdir(run('certs'))).filter(name => name.startsWith('..generation-'))
    expect(generations).toHaveLength(1)
  })

  it('has no key and writes none where nobody asks for it', async () => {
    await start(undefined)
    expect(await waitUntilReady(ports.health, 10_000)).toBeUndefined()
    expect(await bootstrap()).not.toHaveProperty('certificate_providers')
    expect(await readdir(run())).toEqual(['own', 'xds.sock'])
    expect(asked).toEqual([])
  })

  it('asks pilot with the token of the workload, and answers nothing else at its socket', async () => {
    await start(undefined)
    const client = plainClient(`unix:${run('xds.sock')}`)
    try {
      const ads = client.makeBidiStreamRequest(`${ADS}StreamAggregatedResources`, same, same)
      ads.on('error', () => {})
      ads.write(Buffer.from('a question'))
      const answer = await new Promise<Buffer>(resolve => ads.once('data', resolve))
      expect(String(answer)).toBe('a question')
      expect(asked).toEqual(['StreamAggregatedResources token-of-reviews'])
      ads.cancel()
      const secrets = client.makeBidiStreamRequest(SDS, same, same)
      const failure = await new Promise<{ code: number }>(resolve => secrets.once('error', resolve))
      expect(failure.code).toBe(status.UNIMPLEMENTED)
    } finally {
      client.close()
    }
  })

  it('says what it waits for, until the time to wait is over', async () => {
    pilot.stop()
    await start(run('certs'))
    await eventually(
      async () =>
        expect(await waitUntilReady(ports.health, 0)).toMatch(/^no certificate yet: .*ECONNREFUSED/),
      { everyMs: 20 },
    )
    await agent.stop()
    expect(await waitUntilReady(ports.health, 0)).toMatch(/^the agent does not answer at port \d+: ./)
  })
})
