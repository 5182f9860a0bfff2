import { expect, test } from 'vitest'
import { describeMesh, eventually, type Mesh } from '../harness/index.ts'
import { destinationRule, documents, to, virtualService } from '../harness/resources.ts'
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
})
