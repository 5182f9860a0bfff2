import type { JsonObject } from '@bufbuild/protobuf'
import {
  envoyAccepts,
  meshOf,
  objectYaml,
  renderJson,
  router,
  serviceYaml,
  sidecar,
} from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { TrafficGenerator } from '../generator.ts'
import { renderProxy } from '../render.ts'

const SERVICE = serviceYaml('web')
const HCM = 'envoy.filters.network.http_connection_manager'
const HTTP = 'type.googleapis.com/envoy.extensions.filters.http'
const MUTATION = {
  name: 'own',
  typed_config: {
    '@type': `${HTTP}.header_mutation.v3.HeaderMutation`,
    mutations: { request_mutations: [{ append: { header: { key: 'x-own', value: '1' } } }] },
  },
}
const ROUTER = { name: 'own-router', typed_config: { '@type': `${HTTP}.router.v3.Router` } }
const ECHO = {
  name: 'echo',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo' },
}
const ROUTERS = {
  context: 'SIDECAR_OUTBOUND',
  listener: { filterChain: { filter: { name: HCM, subFilter: { name: 'envoy.filters.http.router' } } } },
}
const OUTBOUND = { context: 'SIDECAR_OUTBOUND' }
const HOST = { name: 'own', domains: ['web.default'], routes: [{ match: { prefix: '/' }, redirect: {} }] }

type Patch = readonly [applyTo: string, match: object, operation: string, value?: object]

function filterYaml(...patches: readonly Patch[]): string {
  const configPatches = patches.map(([applyTo, match, operation, value]) => ({
    applyTo,
    match,
    patch: { operation, ...(value ? { value } : {}) },
  }))
  return objectYaml('networking.istio.io/v1alpha3', 'EnvoyFilter', 'own', { priority: 1, configPatches })
}

/** What patches make of a client's configuration, beside what they should. */
function patched(...patches: readonly Patch[]) {
  const client = sidecar('shop', { address: '10.1.0.9' })
  const [mesh, plain] = [meshOf(SERVICE, filterYaml(...patches)), meshOf(SERVICE)]
  const problems = renderProxy(mesh, client, []).problems.map(({ code, path, message }) => ({
    code,
    path,
    message,
  }))
  return { config: renderJson(mesh, client), plain: renderJson(plain, client), problems }
}

describe('a patch that Envoy would refuse', () => {
  const REFUSED: readonly (readonly [what: string, patch: Patch, reason: string])[] = [
    ['a filter after the router', ['HTTP_FILTER', OUTBOUND, 'ADD', MUTATION], 'has to be the last, but own'],
    ['a second router', ['HTTP_FILTER', ROUTERS, 'INSERT_BEFORE', ROUTER], 'has to be the last'],
    ['no router', ['HTTP_FILTER', ROUTERS, 'REMOVE'], 'is the last of its chain, and does not end it'],
    [
      'a domain of another virtual host',
      ['VIRTUAL_HOST', { ...OUTBOUND, routeConfiguration: { name: '80' } }, 'ADD', HOST],
      'both have the domain web.default',
    ],
    [
      'a chain for the same connections',
      [
        'FILTER_CHAIN',
        { ...OUTBOUND, listener: { name: 'virtualOutbound' } },
        'ADD',
        { name: 'own', filters: [ECHO] },
      ],
      'match the same connections',
    ],
    ['no chains', ['FILTER_CHAIN', { ...OUTBOUND, listener: {} }, 'REMOVE'], 'it has no filter chain'],
    [
      'TLS of the other side',
      [
        'CLUSTER',
        { cluster: { service: 'web.default.svc.cluster.local' } },
        'MERGE',
        {
          transport_socket: {
            name: 'own',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
            },
          },
        },
      ],
      'is not for this side',
    ],
    [
      'a listener that has the address of another',
      [
        'LISTENER',
        OUTBOUND,
        'ADD',
        {
          name: 'own',
          address: { socket_address: { address: '0.0.0.0', port_value: 15001 } },
          filter_chains: [{ filters: [ECHO] }],
        },
      ],
      'virtualOutbound has its address',
    ],
    [
      'a listener at no address',
      [
        'LISTENER',
        OUTBOUND,
        'ADD',
        { name: 'own', address: { socket_address: { address: '*', port_value: 7777 } } },
      ],
      'no IP address',
    ],
  ]

  it.each(REFUSED)('%s: the resource stays as it is without it', async (_what, patch, reason) => {
    const { config, plain, problems } = patched(patch)
    expect(problems).toEqual([
      {
        code: 'patch-refused',
        path: 'spec.configPatches[0].patch',
        message: expect.stringContaining(reason),
      },
    ])
    expect(config).toEqual(plain)
    expect(await envoyAccepts(config)).toEqual({ ok: true, value: undefined })
  })

  it('does not keep others from holding', async () => {
    const { config, problems } = patched(
      ['HTTP_FILTER', ROUTERS, 'INSERT_BEFORE', MUTATION],
      ['HTTP_FILTER', OUTBOUND, 'ADD', ROUTER],
    )
    expect(problems.map(({ path }) => path)).toEqual(['spec.configPatches[1].patch'])
    expect(JSON.stringify(config)).toContain('"own"')
    expect(JSON.stringify(config)).not.toContain('own-router')
    expect(await envoyAccepts(config)).toEqual({ ok: true, value: undefined })
  })

  it('holds where another makes it right', async () => {
    const { config, problems } = patched(
      ['HTTP_FILTER', ROUTERS, 'REMOVE'],
      ['HTTP_FILTER', OUTBOUND, 'ADD', ROUTER],
    )
    expect(problems).toEqual([])
    expect(JSON.stringify(config)).toContain('own-router')
    expect(await envoyAccepts(config)).toEqual({ ok: true, value: undefined })
  })

  it('is left out by the one of two that comes later, and told once', () => {
    const host = (name: string): JsonObject => ({ ...HOST, name, domains: ['own.example.com'] })
    const match = { ...OUTBOUND, routeConfiguration: { name: '80' } }
    const { config, problems } = patched(
      ['VIRTUAL_HOST', match, 'ADD', host('first')],
      ['VIRTUAL_HOST', match, 'ADD', host('second')],
    )
    expect(problems.map(({ code, path }) => [code, path])).toEqual([
      ['patch-refused', 'spec.configPatches[1].patch'],
    ])
    expect(JSON.stringify(config.routes)).toContain('"first"')
    expect(JSON.stringify(config.routes)).not.toContain('"second"')
  })
})

describe('sidecars that get what they call', () => {
  const options = { address: '10.1.0.9', metadata: { ON_DEMAND: 'true' } }

  /** Problems of patches, by their places, when such a sidecar is there and has called nothing. */
  function problemsOf(...patches: readonly Patch[]) {
    const generator = new TrafficGenerator(meshOf(SERVICE, filterYaml(...patches)), [])
    generator.configurationOf(sidecar('shop', options))
    return generator.patchProblems().map(({ code, path }) => [code, path])
  }

  const named = (vhost: object): Patch => [
    'HTTP_ROUTE',
    { ...OUTBOUND, routeConfiguration: { name: '80', vhost } },
    'MERGE',
    { response_headers_to_add: [{ header: { key: 'x-own', value: '1' } }] },
  ]
  const UNUSED = [['patch-unused', 'spec.configPatches[0].match']]

  it.each([
    ['by its name', { name: 'web.default.svc.cluster.local:80' }, []],
    ['by its own name', { name: '80/web.default.svc.cluster.local' }, []],
    ['by a domain', { domainName: 'web.default' }, []],
    ['a name that nothing has', { name: 'shop.default.svc.cluster.local:80' }, UNUSED],
    ['a domain that nothing has', { domainName: 'elsewhere.example.com' }, UNUSED],
    [
      'a route that is not there',
      { name: 'web.default.svc.cluster.local:80', route: { name: 'none' } },
      UNUSED,
    ],
    // Which routes the hosts have that nobody has called is not known.
    ['any host', {}, []],
  ])('are told of patches of virtual hosts: %s', (_how, vhost, expected) => {
    expect(problemsOf(named(vhost))).toEqual(expected)
  })

  it('are told of patches of tables that they do not have', () => {
    const match = { ...OUTBOUND, routeConfiguration: { name: '81' } }
    expect(problemsOf(['VIRTUAL_HOST', match, 'MERGE', { include_request_attempt_count: true }])).toEqual(
      UNUSED,
    )
  })

  it('are told of patches of clusters', () => {
    const cluster = (service: string): Patch => [
      'CLUSTER',
      { cluster: { service } },
      'MERGE',
      { connect_timeout: '3s' },
    ]
    expect(problemsOf(cluster('web.default.svc.cluster.local'))).toEqual([])
    expect(problemsOf(cluster('none.default.svc.cluster.local'))).toEqual(UNUSED)
  })
})

describe('a gateway', () => {
  it('is judged by its own tables', () => {
    const text = filterYaml(['HTTP_FILTER', { context: 'GATEWAY' }, 'ADD', MUTATION])
    const gateway = objectYaml('networking.istio.io/v1', 'Gateway', 'public', {
      selector: { app: 'gateway' },
      servers: [{ port: { name: 'http', number: 80, protocol: 'HTTP' }, hosts: ['*'] }],
    })
    const generator = new TrafficGenerator(meshOf(SERVICE, gateway, text), [])
    generator.configurationOf(router('gateway', { labels: { app: 'gateway' } }))
    expect(generator.patchProblems().map(({ code }) => code)).toEqual(['patch-refused'])
  })
})
