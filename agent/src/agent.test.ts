import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { silentLogger, systemClock } from '@seine/kit'
import { eventually, freePorts } from '@seine/testing'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AGENT_PORTS, agentPorts } from '../test/agent-ports.ts'
import { TestAuthority } from '../test/authority.ts'
import { type AdsCall, type ControlPlane, startControlPlane, tokenOf } from '../test/control-plane.ts'
import { testSettings } from '../test/settings.ts'
import { Agent } from './agent.ts'
import type { BootstrapPatch } from './bootstrap-patches.ts'
import { adminCall } from './envoy-process.ts'
import type { AgentPorts } from './settings.ts'

const NAME_TABLE = 'type.googleapis.com/seine.nds.v1.NameTable'
const BOOTSTRAP_PATCHES = 'type.googleapis.com/seine.bootstrap.v1.Patches'
let authority: TestAuthority
let folder: string
let ports: AgentPorts
let pilot: ControlPlane
let agent: Agent
/** Who asked for what: `<type> <token>`. */
let asked: Set<string>
/** What pilot changes in the bootstrap. */
let patches: readonly BootstrapPatch[]

beforeAll(async () => {
  authority = await TestAuthority.create()
})

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seine-agent-'))
  asked = new Set()
  patches = []
  await writeFile(join(folder, 'token'), 'token-of-reviews\n')
  await writeFile(join(folder, 'root-cert.pem'), authority.rootPem)
  ports = agentPorts(await freePorts(AGENT_PORTS))
  pilot = await startPilot()
  agent = new Agent({
    settings: testSettings({
      caAddress: `127.0.0.1:${pilot.port}`,
      xdsAddress: `127.0.0.1:${pilot.port}`,
      tokenFile: join(folder, 'token'),
      rootCertFile: join(folder, 'root-cert.pem'),
      runDir: join(folder, 'run'),
      resolvConf: join(folder, 'resolv.conf'),
      ports,
    }),
    clock: systemClock,
    logger: silentLogger,
    random: () => 1,
  })
})

afterEach(async () => {
  await agent.stop()
  pilot.stop()
  await rm(folder, { recursive: true })
})

/** A control plane over TLS that certifies the workload, knows one name and has no configuration for Envoy. */
async function startPilot(port = 0): Promise<ControlPlane> {
  const names = [{ type: 'dns' as const, value: 'seined.seine-system.svc' }]
  return startControlPlane({
    port,
    tls: await authority.server(names),
    onCsr: (csr, ttlS, token) => {
      asked.add(`csr ${token}`)
      return authority.sign(csr, { notAfter: new Date(Date.now() + ttlS * 1000) })
    },
    onStream: serveNothing,
  })
}

function serveNothing(call: AdsCall): void {
  call.on('error', () => {})
  call.on('data', (message: Buffer) => {
    const { typeUrl, responseNonce } = fromBinary(DeltaDiscoveryRequestSchema, message)
    asked.add(`${typeUrl.split('.').at(-1)} ${tokenOf(call)}`)
    if (responseNonce !== '') return
    const resource = (name: string, content: object) => ({
      name,
      version: '1',
      resource: { typeUrl, value: new TextEncoder().encode(JSON.stringify(content)) },
    })
    const entry = { ips: ['10.96.0.7'], aliases: ['ratings'] }
    const resources =
      typeUrl === NAME_TABLE
        ? [resource('ratings.default.svc.cluster.local', entry)]
        : typeUrl === BOOTSTRAP_PATCHES
          ? [resource('patches', { patches })]
          : []
    const response = create(DeltaDiscoveryResponseSchema, { typeUrl, nonce: '1', resources })
    call.write(Buffer.from(toBinary(DeltaDiscoveryResponseSchema, response)))
  })
}

async function ready(): Promise<[number, string]> {
  const answer = await fetch(`http://127.0.0.1:${ports.health}/healthz/ready`, {
    headers: { connection: 'close' },
  })
  return [answer.status, await answer.text()]
}

describe('the agent', () => {
  it('gets an identity, starts Envoy and becomes ready; stopped, it leaves no process and no socket', async () => {
    await agent.start()
    await eventually(async () => expect(await ready()).toEqual([200, 'ready']), { everyMs: 20 })
    expect([...asked].sort()).toEqual([
      'Cluster token-of-reviews',
      'Listener token-of-reviews',
      'NameTable token-of-reviews',
      'Patches token-of-reviews',
      'csr token-of-reviews',
    ])
    const run = join(folder, 'run')
    expect((await readdir(run)).sort()).toEqual(['agent.sock', 'bootstrap.json'])
    // Whoever can connect gets the workload's key.
    expect((await stat(run)).mode & 0o777).toBe(0o700)
    expect((await stat(join(run, 'agent.sock'))).mode & 0o777).toBe(0o600)

    await agent.stop()
    expect(await readdir(run)).toEqual(['bootstrap.json'])
    await expect(adminCall(ports.admin, 'GET', '/ready')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await expect(ready()).rejects.toThrow()
  })

  it('keeps Envoy serving while the control plane is away, and finds it again by itself', async () => {
    await agent.start()
    await eventually(async () => expect(await ready()).toEqual([200, 'ready']), { everyMs: 20 })
    const connected = async () => {
      const answer = await fetch(`http://127.0.0.1:${ports.metrics}/metrics`, {
        headers: { connection: 'close' },
      })
      return /^seine_agent_control_plane_connected (\d)/m.exec(await answer.text())?.[1]
    }
    await eventually(async () => expect(await connected()).toBe('1'), { everyMs: 20 })
    pilot.stop()
    await eventually(async () => expect(await connected()).toBe('0'), { everyMs: 20 })
    expect(await ready()).toEqual([200, 'ready'])
    pilot = await startPilot(pilot.port)
    await eventually(async () => expect(await connected()).toBe('1'), { everyMs: 20 })
  })

  it('starts Envoy with what pilot changes in its bootstrap', async () => {
    patches = [{ operation: 'MERGE', value: { statsFlushInterval: '7s' } }]
    await agent.start()
    await eventually(async () => expect(await ready()).toEqual([200, 'ready']), { everyMs: 20 })
    const dump = await adminCall(ports.admin, 'GET', '/config_dump?mask=bootstrap.stats_flush_interval')
    expect(dump.body).toContain('"stats_flush_interval": "7s"')
  })

  it('starts Envoy without changes that it refuses', async () => {
    patches = [{ operation: 'MERGE', value: { statsFlushInterval: '-7s' } }]
    await agent.start()
    await eventually(async () => expect(await ready()).toEqual([200, 'ready']), { everyMs: 20 })
    const dump = await adminCall(ports.admin, 'GET', '/config_dump?mask=bootstrap.stats_flush_interval')
    expect(dump.body).toContain('"stats_flush_interval": "2s"')
  })

  it('waits for pilot to start Envoy', async () => {
    const { port } = pilot
    pilot.stop()
    await agent.start()
    await eventually(async () => expect(await ready()).toEqual([503, expect.any(String)]), { everyMs: 20 })
    await expect(adminCall(ports.admin, 'GET', '/ready')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    pilot = await startPilot(port)
    await eventually(async () => expect(await ready()).toEqual([200, 'ready']), { everyMs: 20 })
  })

  it('says what it waits for', async () => {
    pilot.stop()
    await agent.start()
    await eventually(
      async () =>
        expect(await ready()).toEqual([503, expect.stringMatching(/^no certificate yet: .*ECONNREFUSED/)]),
      { everyMs: 20 },
    )
    expect(await agent.notReady()).toMatch(/^no certificate yet: ./)
    await agent.stop()
    expect(await agent.notReady()).toBe('stopping')
  })

  it('gives its token to nobody who is not of the mesh', async () => {
    // A control plane with a certificate of another root.
    const { port } = pilot
    pilot.stop()
    const other = await TestAuthority.create()
    pilot = await startControlPlane({
      port,
      tls: await other.server([{ type: 'dns', value: 'seined.seine-system.svc' }]),
      onCsr: async (_csr, _ttl, token) => {
        asked.add(`csr ${token}`)
        return []
      },
      onStream: call => {
        asked.add(`stream ${tokenOf(call)}`)
      },
    })
    await agent.start()
    await eventually(
      async () =>
        expect(await ready()).toEqual([503, expect.stringMatching(/^no certificate yet: .*certificate/)]),
      { everyMs: 20 },
    )
    expect([...asked]).toEqual([])
  })

  it('takes the place of a socket that an agent before it left', async () => {
    await mkdir(join(folder, 'run'))
    await writeFile(join(folder, 'run', 'agent.sock'), '')
    await agent.start()
    await eventually(async () => expect(await ready()).toEqual([200, 'ready']), { everyMs: 20 })
  })
})
