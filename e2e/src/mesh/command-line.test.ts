import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  countBy,
  describeMesh,
  destinationRule,
  documents,
  eventually,
  resource,
  seinectl,
  to,
  virtualService,
} from '../harness/index.ts'

describeMesh('seinectl on a running mesh', mesh => {
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

  test('proxy-config ecds shows configuration of filters that comes by itself', async () => {
    const type = 'type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation'
    const hcm = 'envoy.filters.network.http_connection_manager'
    const subFilter = { name: 'envoy.filters.http.router' }
    await mesh().apply(
      'ecds',
      resource('networking.istio.io/v1alpha3', 'EnvoyFilter', 'shop', 'ecds', {
        spec: {
          workloadSelector: { labels: { app: 'client' } },
          configPatches: [
            {
              applyTo: 'EXTENSION_CONFIG',
              patch: {
                operation: 'ADD',
                value: {
                  name: 'own-mutation',
                  typed_config: {
                    '@type': type,
                    mutations: { request_mutations: [{ append: { header: { key: 'x-ecds', value: '1' } } }] },
                  },
                },
              },
            },
            {
              applyTo: 'HTTP_FILTER',
              match: {
                context: 'SIDECAR_OUTBOUND',
                listener: { filterChain: { filter: { name: hcm, subFilter } } },
              },
              patch: {
                operation: 'INSERT_BEFORE',
                value: {
                  name: 'own-mutation',
                  config_discovery: {
                    config_source: { ads: {}, resource_api_version: 'V3' },
                    type_urls: [type],
                  },
                },
              },
            },
          ],
        },
      }),
    )
    await eventually(async () =>
      expect((await mesh().pod('client').get('http://echo/')).echo?.headers['x-ecds']).toBe('1'),
    )
    const { code, stdout } = await seinectl(['proxy-config', 'ecds', 'client-v1'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^own-mutation\s+envoy\.\S+\.HeaderMutation\s+EnvoyFilter shop\/ecds/m)
  })

  test('explain answers from what is in force, and says where that is not what a file says', async () => {
    await mesh().apply(
      'in-force',
      documents(destinationRule('echo'), virtualService('echo', [{ route: [to('echo', 'v2')] }])),
    )
    const asked = () => seinectl(['explain', '--from', 'client-v1.shop', 'GET', 'http://echo/'])
    await eventually(async () => expect((await asked()).stdout).toContain('→ forwarded to outbound|80|v2|'))
    // A mistake: what was in force stays.
    await mesh().config.write(
      'in-force',
      documents(destinationRule('echo'), virtualService('echo', [{ route: [to('echo', 'none')] }])),
    )
    await eventually(async () => {
      const { stdout } = await asked()
      expect(stdout).toContain('→ forwarded to outbound|80|v2|')
      expect(stdout).toContain('in force is not what the file says: ')
    })
    expect((await mesh().pod('client').get('http://echo/')).echo?.version).toBe('v2')
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
