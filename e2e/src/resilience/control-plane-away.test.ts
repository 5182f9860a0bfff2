import { expect, test } from 'vitest'
import { describeMesh, eventually, MachineWorkload, type Mesh } from '../harness/index.ts'
import {
  destinationRule,
  documents,
  resource,
  serviceEntry,
  to,
  virtualService,
} from '../harness/resources.ts'
import { processesOf } from './processes.ts'
import { SteadyLoad } from './steady-load.ts'

/** More requests than this must pass while something is away. */
const MANY = 200
const WAIT = { timeoutMs: 45_000 }

const everythingTo = (version: string) =>
  documents(destinationRule('echo'), virtualService('echo', [{ route: [to('echo', version)] }]))

/** The processes of this mesh's control plane. */
async function controlPlane(mesh: Mesh): Promise<readonly number[]> {
  const found = await processesOf(
    command =>
      command.some(word => word.endsWith('/seined/bin/seined.js')) &&
      command.includes(mesh.place.stateFolder) &&
      command[0]?.endsWith('/node') === true,
  )
  return found.map(({ pid }) => pid)
}

describeMesh('without its control plane', mesh => {
  test('traffic goes on; what changed meanwhile takes effect when it is back', async () => {
    const m = mesh()
    const client = m.pod('client')
    await m.apply('versions', everythingTo('v1'))
    const connections = async () => new Map((await m.hub.proxies()).map(one => [one.id, one.connectedAt]))
    const before = await connections()
    const loads = [
      new SteadyLoad('http', () => client.http('http://echo/', { count: 2, keepAlive: true })),
      new SteadyLoad('new connections', () => client.http('http://middle/', { count: 2 })),
    ]
    const failures = () => loads.flatMap(load => load.failures)
    // Whatever starts it again: it is killed until enough requests have passed without it.
    const enough = Math.max(...loads.map(({ total }) => total)) + MANY
    let killed = 0
    await eventually(async () => {
      for (const pid of await controlPlane(m)) {
        process.kill(pid, 'SIGKILL')
        killed += 1
      }
      if (killed === 1) await m.config.write('versions', everythingTo('v2'))
      expect(failures()).toEqual([])
      for (const { total } of loads) expect(total).toBeGreaterThan(enough)
    }, WAIT)
    expect(killed).toBeGreaterThan(0)
    await eventually(async () => expect((await client.get('http://echo/')).echo?.version).toBe('v2'), WAIT)
    await eventually(() => m.settled(), WAIT)
    const after = await connections()
    for (const [id, connectedAt] of before) expect(after.get(id)).toBeGreaterThan(connectedAt)
    await Promise.all(loads.map(load => load.stop()))
    expect(failures()).toEqual([])
  }, 120_000)

  test('a machine that has registered is called while pilot starts anew and has not heard of it yet', async () => {
    const m = mesh()
    const client = m.pod('client')
    await m.apply(
      'machines',
      documents(
        resource('networking.istio.io/v1', 'WorkloadGroup', 'shop', 'machines', {
          spec: {
            metadata: { labels: { app: 'machines' } },
            template: { serviceAccount: 'machine', ports: { http: 8080 } },
            probe: { periodSeconds: 1, httpGet: { path: '/healthz', port: 8080 } },
          },
        }),
        serviceEntry('machines', {
          hosts: ['machines.shop.example'],
          location: 'MESH_INTERNAL',
          resolution: 'STATIC',
          ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
          workloadSelector: { labels: { app: 'machines' } },
        }),
      ),
    )
    const machine = await MachineWorkload.make(m, 'machines', 'shop', 'machine')
    try {
      const url = 'http://machines.shop.example/'
      machine.startAgent()
      await eventually(async () => expect((await client.get(url)).status).toBe(200), WAIT)
      const connections = async () => new Map((await m.hub.proxies()).map(one => [one.pod, one.connectedAt]))
      const before = await connections()
      const load = new SteadyLoad('the machine', () => client.http(url, { count: 2 }))
      // It can't come back: what pilot knows of it is what it knew before.
      machine.pauseAgent()
      for (const pid of await controlPlane(m)) process.kill(pid, 'SIGKILL')
      await eventually(async () => {
        const since = (await connections()).get(client.name) ?? 0
        expect(since).toBeGreaterThan(before.get(client.name) ?? 0)
      }, WAIT)
      await m.settled()
      const enough = load.total + MANY
      await eventually(() => expect(load.total).toBeGreaterThan(enough), WAIT)
      expect(load.failures).toEqual([])
      machine.resumeAgent()
      await eventually(async () => {
        const pods = [...(await connections())].filter(([, at]) => at > (before.get(client.name) ?? 0))
        expect(pods.map(([pod]) => pod)).toContain(`machines-${machine.address}`)
      }, WAIT)
      expect((await load.stop()).failures).toEqual([])
    } finally {
      await machine.close()
    }
  }, 180_000)
})
