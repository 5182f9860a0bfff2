import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  countBy,
  describeMesh,
  destinationRule,
  documents,
  eventually,
  type Ran,
  ROOT,
  run,
  to,
  virtualService,
} from '../harness/index.ts'

describeMesh('seinectl on a running mesh', mesh => {
  const seinectl = (args: readonly string[], input = ''): Promise<Ran> =>
    run(['npx', '--no-install', 'seinectl', ...args], input, ROOT)
  /** The folders of a demo: the first is the configuration. */
  const apply = (yaml: string) => seinectl(['apply', '-f', '-', '--config', mesh().place.configFolder], yaml)
  const versions = async () =>
    countBy(await mesh().pod('client').http('http://echo/', { count: 30 }), ({ echo }) => echo?.version)

  test('apply changes where requests go, delete changes it back', async () => {
    const config = ['--config', mesh().place.configFolder]
    const applied = await apply(
      documents(destinationRule('echo'), virtualService('echo', [{ route: [to('echo', 'v3')] }])),
    )
    try {
      expect([applied.code, applied.stderr]).toEqual([0, expect.any(String)])
      await eventually(async () => expect(await versions()).toEqual({ v3: 30 }))
      const shown = await seinectl(['get', 'virtualservices', '-n', 'shop', ...config])
      expect(shown.stdout).toMatch(/^echo\s/m)
    } finally {
      const deleted = await seinectl(['delete', 'vs/echo', 'dr/echo', '-n', 'shop', ...config])
      expect(deleted.code).toBe(0)
    }
    await eventually(async () => expect(Object.keys(await versions()).sort()).toEqual(['v1', 'v2', 'v3']))
    expect((await readdir(mesh().place.configFolder)).filter(name => name.endsWith('.yaml'))).toEqual([])
  })

  test('a mistake is refused with its place, and nothing changes', async () => {
    const wrong = virtualService('echo', [{ timout: '1s', route: [to('echo')] }])
    const refused = await apply(wrong)
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toMatch(/timout/)
    expect(refused.stderr).toMatch(/timeout/)
    expect(await mesh().hub.problems()).toEqual([])
  })

  test('proxy-status lists every sidecar as synchronised', async () => {
    const { code, stdout } = await seinectl(['proxy-status'])
    expect(code).toBe(0)
    for (const pod of mesh().meshedPods) expect(stdout).toContain(pod.workload)
    expect(stdout).not.toMatch(/STALE|NACKED|NOT CONNECTED/)
  })

  test('proxy-config shows what Envoy has', async () => {
    await mesh().apply(
      'cli',
      documents(
        destinationRule('echo'),
        virtualService('echo', [{ name: 'cli-route', timeout: '7s', route: [to('echo', 'v2')] }]),
      ),
    )
    const routes = await seinectl(['proxy-config', 'routes', 'client-v1', '-o', 'json'])
    expect([routes.code, routes.stderr]).toEqual([0, expect.any(String)])
    expect(routes.stdout).toContain('cli-route')
    const clusters = await seinectl(['proxy-config', 'clusters', 'client-v1'])
    expect(clusters.stdout).toContain('echo.shop.svc.cluster.local')
    const endpoints = await seinectl(['proxy-config', 'endpoints', 'client-v1'])
    expect(endpoints.stdout).toContain(mesh().pod('echo-v2').ip)
    const secrets = await seinectl(['proxy-config', 'secrets', 'client-v1', '-o', 'json'])
    expect(secrets.stdout).not.toMatch(/PRIVATE KEY/)
  })

  test('render predicts what the running proxy has', async () => {
    const pod = mesh().pod('client')
    await pod.get('http://echo/')
    const id = `sidecar~${pod.ip}~${pod.name}.shop~shop.svc.cluster.local`
    const files = ['-f', mesh().place.appFolder, '-f', join(mesh().place.stateFolder, 'pods')]
    const labels = 'app=client,version=v1'
    const { code, stdout, stderr } = await seinectl([
      'render',
      '--proxy',
      id,
      '--labels',
      labels,
      ...files,
      '-o',
      'json',
    ])
    expect([code, stderr]).toEqual([0, expect.any(String)])
    const rendered = JSON.parse(stdout) as { clusters: readonly { name: string }[] }
    const live = await mesh().hub.get<{ clusters: readonly { name: string; config: unknown }[] }>(
      `/proxies/${encodeURIComponent(id)}/config`,
    )
    // A proxy has the clusters that it has asked for; rendered are all that it would get.
    expect(live.clusters.map(({ name }) => name)).toContain('outbound|80||echo.shop.svc.cluster.local')
    for (const { name, config } of live.clusters) {
      // The cluster for an address is another one by that name.
      const own = name.startsWith('destination|') ? (config as { altStatName: string }).altStatName : name
      const found = rendered.clusters.find(one => one.name === own)
      if (own === name) expect([name, found]).toEqual([name, config])
      else expect([own, found]).toEqual([own, expect.anything()])
    }
  })
})
