import { expect, test } from 'vitest'
import { describeMesh, eventually, type Mesh } from '../harness/index.ts'
import { destinationRule, documents, to, virtualService } from '../harness/resources.ts'
import { sidecarLog } from './logs.ts'
import { isAlive, processesIn, processesOf } from './processes.ts'
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

describeMesh('crashes', mesh => {
  test('without a control plane traffic goes on; what changed meanwhile takes effect when it is back', async () => {
    const m = mesh()
    const client = m.pod('client')
    await m.apply('versions', everythingTo('v1'))
    const connections = async () => new Map((await m.hub.proxies()).map(one => [one.id, one.connectedAt]))
    const before = await connections()
    const loads = [
      new SteadyLoad('http', () => client.http('http://echo/', { count: 20, keepAlive: true })),
      new SteadyLoad('new connections', () => client.http('http://middle/', { count: 20 })),
    ]
    const passed = () => Math.min(...loads.map(({ total }) => total))
    // Whatever starts it again: it is killed until enough requests have passed without it.
    const enough = passed() + MANY
    let killed = 0
    await eventually(
      async () => {
        for (const pid of await controlPlane(m)) {
          process.kill(pid, 'SIGKILL')
          killed += 1
        }
        if (killed === 1) await m.config.write('versions', everythingTo('v2'))
        expect(passed()).toBeGreaterThan(enough)
      },
      { ...WAIT, everyMs: 20 },
    )
    expect(killed).toBeGreaterThan(0)
    await eventually(async () => expect((await client.get('http://echo/')).echo?.version).toBe('v2'), WAIT)
    await eventually(() => m.settled(), WAIT)
    const after = await connections()
    for (const [id, connectedAt] of before) expect(after.get(id)).toBeGreaterThan(connectedAt)
    const results = await Promise.all(loads.map(load => load.stop()))
    expect(results.flatMap(({ failures }) => failures)).toEqual([])
  }, 120_000)

  test('an Envoy that crashes is started again, serves, and the crash is shown', async () => {
    const m = mesh()
    const [client, victim] = [m.pod('client'), m.pod('echo-v1')]
    await m.apply('versions', everythingTo('v1'))
    const others = new SteadyLoad('middle', () => client.http('http://middle/', { count: 20 }))
    const [envoy, ...more] = await processesIn(victim.netns, 'envoy')
    if (envoy === undefined || more.length > 0)
      throw new Error(`one Envoy expected, found ${1 + more.length}`)
    process.kill(envoy, 'SIGKILL')
    await eventually(async () => expect(await isAlive(envoy)).toBe(false))
    await eventually(async () => {
      const answer = await client.get('http://echo/')
      expect([answer.status, answer.echo?.pod]).toEqual([200, victim.name])
    }, WAIT)
    expect((await processesIn(victim.netns, 'envoy')).filter(pid => pid !== envoy)).toHaveLength(1)
    expect((await others.stop()).failures).toEqual([])
    expect(await sidecarLog(m, victim)).toContainEqual(
      expect.objectContaining({
        level: 50,
        signal: 'SIGKILL',
        msg: 'envoy ended unexpectedly: starting it again',
      }),
    )
    const shown = { code: 'envoy-crashed', kind: 'Pod', namespace: 'shop', name: victim.name }
    await eventually(async () => {
      expect(await m.hub.problems()).toContainEqual(expect.objectContaining(shown))
    }, WAIT)
    // The answer came through the new Envoy: mutual TLS, measured by itself from zero on.
    await eventually(async () => {
      const labels = { reporter: 'destination', connection_security_policy: 'mutual_tls' }
      expect(await victim.metric('istio_requests_total', labels)).toBeGreaterThan(0)
    })
    await eventually(() => m.settled(), WAIT)
  }, 120_000)
})
