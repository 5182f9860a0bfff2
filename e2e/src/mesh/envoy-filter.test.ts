import { expect, test } from 'vitest'
import {
  describeMesh,
  documents,
  type Echo,
  eventually,
  fromOutside,
  resource,
  shopFromOutside,
  to,
  virtualService,
} from '../harness/index.ts'

type Spec = Readonly<Record<string, unknown>>

const MANAGER = 'envoy.filters.network.http_connection_manager'
const BEFORE_ROUTER = {
  filterChain: { filter: { name: MANAGER, subFilter: { name: 'envoy.filters.http.router' } } },
}

function envoyFilter(namespace: string, app: string, configPatches: readonly Spec[], name = app): string {
  return resource('networking.istio.io/v1alpha3', 'EnvoyFilter', namespace, name, {
    spec: { workloadSelector: { labels: { app } }, configPatches },
  })
}

const lua = (code: string) => ({
  name: 'own.lua',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua',
    default_source_code: { inline_string: code },
  },
})

const mutation = (key: string, value: string) => ({
  name: 'own.header',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation',
    mutations: { request_mutations: [{ append: { header: { key, value } } }] },
  },
})

describeMesh('EnvoyFilters', mesh => {
  const call = async () => mesh().pod('client').get('http://echo/')

  test('a filter at the called side, and one at the calling side', async () => {
    await mesh().apply(
      'filters',
      documents(
        envoyFilter('shop', 'echo', [
          {
            applyTo: 'HTTP_FILTER',
            match: { context: 'SIDECAR_INBOUND', listener: BEFORE_ROUTER },
            patch: {
              operation: 'INSERT_BEFORE',
              value: lua(
                "function envoy_on_request(handle) handle:headers():add('x-lua', 'in ' .. handle:headers():get(':authority')) end",
              ),
            },
          },
        ]),
        envoyFilter('shop', 'client', [
          {
            applyTo: 'HTTP_FILTER',
            match: { context: 'SIDECAR_OUTBOUND' },
            patch: { operation: 'ADD', filterClass: 'STATS', value: mutation('x-client', 'of-the-sidecar') },
          },
        ]),
      ),
    )
    // A connection that was open before keeps its filters until its next answer, with which it is told to end.
    await eventually(async () => {
      const answer = await call()
      expect(answer.status).toBe(200)
      expect(answer.echo?.headers).toMatchObject({ 'x-lua': 'in echo', 'x-client': 'of-the-sidecar' })
    })
    await mesh().remove('filters')
    await eventually(async () => {
      const after = await call()
      expect(after.status).toBe(200)
      expect(after.echo?.headers).not.toHaveProperty('x-lua')
      expect(after.echo?.headers).not.toHaveProperty('x-client')
    })
  })

  test('a route that is merged, of a virtual host that is known already', async () => {
    expect((await call()).status).toBe(200)
    await mesh().apply(
      'filters',
      documents(
        virtualService('echo', [{ name: 'all', route: [to('echo')] }]),
        envoyFilter('shop', 'client', [
          {
            applyTo: 'HTTP_ROUTE',
            match: {
              context: 'SIDECAR_OUTBOUND',
              routeConfiguration: {
                vhost: { name: 'echo.shop.svc.cluster.local:80', route: { name: 'all' } },
              },
            },
            patch: {
              operation: 'MERGE',
              value: { request_headers_to_add: [{ header: { key: 'x-route', value: 'merged' } }] },
            },
          },
        ]),
      ),
    )
    expect((await call()).echo?.headers).toMatchObject({ 'x-route': 'merged' })
  })

  test('a filter at an ingress gateway', async () => {
    await mesh().apply(
      'filters',
      documents(
        shopFromOutside('echo'),
        envoyFilter('edge', 'edge', [
          {
            applyTo: 'HTTP_FILTER',
            match: { context: 'GATEWAY', listener: BEFORE_ROUTER },
            patch: { operation: 'INSERT_BEFORE', value: mutation('x-gateway', 'edge') },
          },
        ]),
      ),
    )
    const { status, body } = await fromOutside({
      ip: mesh().pod('edge').ip,
      port: 8080,
      host: 'shop.example.com',
      path: '/',
    })
    expect(status).toBe(200)
    expect((JSON.parse(body) as Echo).headers).toMatchObject({ 'x-gateway': 'edge' })
  })

  test('a ProxyConfig says how many threads a proxy has, and what patches can ask for', async () => {
    const visitor = mesh().pod('visitor')
    const concurrencyOf = async (pod: typeof visitor) =>
      JSON.parse(await pod.admin('/server_info')).command_line_options.concurrency
    expect([await concurrencyOf(visitor), await concurrencyOf(mesh().pod('client'))]).toEqual([1, 2])
    const patch = (role: string) => ({
      applyTo: 'HTTP_FILTER',
      match: { context: 'SIDECAR_OUTBOUND', proxy: { metadata: { ROLE: role } } },
      patch: { operation: 'ADD', filterClass: 'STATS', value: mutation(`x-${role}`, '1') },
    })
    await mesh().apply('filters', envoyFilter('partner', 'visitor', [patch('visitor'), patch('other')]))
    const { echo } = await visitor.get('http://echo.shop/')
    expect(echo?.headers).toMatchObject({ 'x-visitor': '1' })
    expect(echo?.headers).not.toHaveProperty('x-other')
  })

  test('a patch that has no effect is reported with its place, until it has one', async () => {
    const patch = (filter: string) =>
      envoyFilter('shop', 'echo', [
        {
          applyTo: 'HTTP_FILTER',
          match: {
            context: 'SIDECAR_INBOUND',
            listener: { filterChain: { filter: { name: MANAGER, subFilter: { name: filter } } } },
          },
          patch: { operation: 'INSERT_BEFORE', value: mutation('x-own', '1') },
        },
      ])
    const unused = async () =>
      (await mesh().problemsOf('filters')).filter(({ code }) => code === 'patch-unused')
    const text = patch('there.is.none')
    await mesh().apply('filters', text)
    await eventually(async () =>
      expect(await unused()).toMatchObject([
        {
          severity: 'warning',
          kind: 'EnvoyFilter',
          name: 'echo',
          path: 'spec.configPatches[0].match',
          line: text.split('\n').findIndex(line => line.includes('match:')) + 1,
        },
      ]),
    )
    await mesh().apply('filters', patch('envoy.filters.http.router'))
    await eventually(async () => expect(await unused()).toEqual([]))
    // As above: a connection of before keeps its filters until its next answer.
    await eventually(async () => expect((await call()).echo?.headers).toMatchObject({ 'x-own': '1' }))
  })
})
