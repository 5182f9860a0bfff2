import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, meshRuns } from '../harness/index.ts'
import { OwnMesh } from './own-mesh.ts'

const WAIT = { timeoutMs: 30_000 }

describe.skipIf(!meshRuns())('a port in use', () => {
  let mesh: OwnMesh
  beforeAll(async () => {
    mesh = await OwnMesh.make()
  })
  afterAll(() => mesh?.close())

  test.each([
    { port: 15010, option: '--xds-port' },
    { port: 15012, option: '--tls-port' },
    { port: 15080, option: '--hub-port' },
  ])('$port: seined says which, what to do, and ends', async ({ port, option }) => {
    const squatter = await mesh.occupy(port)
    const seined = mesh.startSeined()
    expect(await seined.ended).toBe('exit 1')
    const reason = expect.stringMatching(
      new RegExp(
        `^can't listen on 127\\.0\\.0\\.1:${port} \\(.+\\): another program uses that port; stop it .+, or give another with ${option}$`,
      ),
    )
    const fatal = (await seined.log()).filter(({ level }) => level === 60)
    expect(fatal).toEqual([expect.objectContaining({ reason, msg: 'the control plane can not start' })])
    await squatter.stop()
  })

  test('15020: the agent says which and ends', async () => {
    const squatter = await mesh.occupy(15020)
    const agent = await mesh.agent(mesh.token())
    expect(await agent.ended).toBe('exit 1')
    const reason = expect.stringContaining('15020')
    const fatal = (await agent.log()).filter(({ level }) => level === 60)
    expect(fatal).toEqual([expect.objectContaining({ reason, msg: 'the agent can not start' })])
    await squatter.stop()
  })

  test('15001: Envoy rejects its listener; status and log give its reason, the rest is served', async () => {
    const squatter = await mesh.occupy(15001)
    const seined = await mesh.seined()
    const agent = await mesh.agent(mesh.token())
    const id = 'sidecar~127.0.0.1~web-1.shop~shop.svc.cluster.local'
    const reason = expect.stringMatching(/virtualOutbound.*cannot bind.*15001.*in use/)
    await eventually(async () => {
      const proxies = JSON.parse((await mesh.get(15080, '/api/v1/proxies')).slice('200 '.length))
      expect(proxies).toEqual([
        expect.objectContaining({
          id,
          types: expect.objectContaining({
            LDS: expect.objectContaining({
              state: 'NACKED',
              nack: { at: expect.any(Number), message: reason, resources: ['virtualOutbound'] },
            }),
            CDS: expect.objectContaining({ state: 'SYNCED' }),
          }),
        }),
      ])
    }, WAIT)
    expect(await seined.log()).toContainEqual(
      expect.objectContaining({
        level: 50,
        proxy: id,
        type: 'LDS',
        resources: ['virtualOutbound'],
        reason,
        msg: 'proxy rejected configuration',
      }),
    )
    const { stdout } = await mesh.seinectl('proxy-status')
    expect(stdout).toMatch(/^web-1\.shop\s.*NACKED/m)
    expect(stdout).toMatch(/^web-1\.shop rejected LDS: .*cannot bind.*15001/m)
    // The good part of the same response arrived.
    expect(await mesh.get(15000, '/listeners')).toContain('virtualInbound')
    await agent.stop()
    await squatter.stop()
    await seined.stop()
  }, 90_000)
})
