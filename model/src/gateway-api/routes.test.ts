import { type MeshResource, refOf } from '@seine/api'
import { validResourcesOf } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { MeshModel } from '../mesh-model.ts'
import { fromKubernetesService } from '../service.ts'
import { GatewayApi } from './gateway-api.ts'
import type { RoutedHttp } from './index.ts'

const api = (kind: string, name: string, spec: object, meta: object = {}) => {
  const [own = '', namespace = 'infra'] = name.split('.')
  return JSON.stringify({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind,
    metadata: { name: own, namespace, ...meta },
    spec,
  })
}
const service = (name: string, ports: readonly number[] = [80]) => {
  const [own = '', namespace = 'infra'] = name.split('.')
  const list = ports.map(port => ({ name: `http-${port}`, port }))
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: own, namespace },
    spec: { clusterIP: '10.96.0.1', selector: { app: own }, ports: list },
  })
}
const mesh = (...texts: string[]) =>
  new MeshModel().apply({ upserts: validResourcesOf(...texts), deletes: [] }).snapshot.virtualServices
const to = (name: string, more: object = {}) => ({ backendRefs: [{ name, port: 80, ...more }] })
const ofService = (name: string, more: object = {}) => ({
  parentRefs: [{ group: '', kind: 'Service', name, ...more }],
})
const ofGateway = { parentRefs: [{ name: 'gw', namespace: 'infra' }] }
const gateway = (listeners: object[], name = 'gw') =>
  api('Gateway', name, { gatewayClassName: 'seine', listeners })
const http = (more: object = {}) => ({
  name: 'http',
  port: 80,
  protocol: 'HTTP',
  allowedRoutes: { namespaces: { from: 'All' } },
  ...more,
})

/** What a rule matches by, and where it goes. */
function brief({ match, route, directResponse, brokenWeight }: RoutedHttp): string {
  const [{ uri, pathPrefix, method, headers, queryParams, port } = {}] = match ?? []
  const matched = [
    uri?.exact && `=${uri.exact}`,
    uri?.regex && `~${uri.regex}`,
    uri?.prefix && `^${uri.prefix}`,
    pathPrefix && `^${pathPrefix}/`,
    method?.exact,
    headers && `h${Object.keys(headers).length}`,
    queryParams && `q${Object.keys(queryParams).length}`,
    port && `:${port}`,
  ]
  const targets = (route ?? []).map(one => `${one.destination.host.split('.')[0]}*${one.weight}`)
  if (directResponse) targets.push(String(directResponse.status))
  if (brokenWeight) targets.push(`500*${brokenWeight}`)
  return `${matched.filter(Boolean).join(' ')} → ${targets.join(' ')}`
}

describe('matches', () => {
  it('are tried by how specific they are, across rules and routes', () => {
    const rules = (matches: object[]) => [{ matches, ...to('web') }]
    const routes = mesh(
      service('web'),
      api('HTTPRoute', 'a', {
        ...ofService('web'),
        rules: rules([
          { path: { value: '/' } },
          { path: { value: '/a' } },
          { path: { value: '/a/b' } },
          { path: { type: 'RegularExpression', value: '/x.*' } },
          { path: { value: '/a' }, headers: [{ name: 'x', value: '1' }] },
        ]),
      }),
      api('HTTPRoute', 'b', {
        ...ofService('web'),
        rules: rules([
          { path: { type: 'Exact', value: '/a' } },
          { path: { value: '/a' }, method: 'GET' },
          { path: { value: '/a' }, queryParams: [{ name: 'q', value: '1' }] },
          {
            path: { value: '/a' },
            headers: [
              { name: 'x', value: '1' },
              { name: 'y', value: '1' },
            ],
          },
        ]),
      }),
    )
    expect(routes.get('infra/infra~web~mesh')?.spec.http?.map(brief)).toEqual([
      '=/a → web*1',
      '~/x.* → web*1',
      '^/a/b/ → web*1',
      '^/a/ GET → web*1',
      '^/a/ h2 → web*1',
      '^/a/ h1 → web*1',
      '^/a/ q1 → web*1',
      '^/a/ → web*1',
      '^/ → web*1',
    ])
  })

  it('that are alike are tried from the oldest route on, then by name, then as they are written', () => {
    const one = (name: string, target: string, created?: string) =>
      api(
        'HTTPRoute',
        name,
        { ...ofService('web'), rules: [to(target)] },
        created ? { creationTimestamp: created } : {},
      )
    const routes = mesh(
      ...['web', 'one', 'two', 'three', 'four'].map(name => service(name)),
      one('c', 'three', '2026-01-02T00:00:00Z'),
      one('d', 'four', '2026-01-03T00:00:00Z'),
      one('b', 'two', '2026-01-02T00:00:00Z'),
      one('e', 'one', '2026-01-01T00:00:00Z'),
    )
    const found = routes.get('infra/infra~web~mesh')
    expect(found?.spec.http?.map(brief)).toEqual(['^/ → one*1', '^/ → two*1', '^/ → three*1', '^/ → four*1'])
    expect(found?.metadata.creationTimestamp).toBe('2026-01-01T00:00:00Z')
    expect(found?.spec.http?.[0]?.cause).toEqual({
      kind: 'HTTPRoute',
      namespace: 'infra',
      name: 'e',
      path: 'spec.rules[0]',
    })
  })

  it('of gRPC are paths', () => {
    const routes = mesh(
      service('web'),
      api('GRPCRoute', 'a', {
        ...ofService('web'),
        rules: [
          {
            matches: [
              {},
              { method: { method: 'Get' } },
              { method: { service: 'a.B' } },
              { method: { service: 'a.B', method: 'Get' } },
              { method: { type: 'RegularExpression', service: 'a|b' } },
              { method: { service: 'a.B' }, headers: [{ name: 'x', value: '1' }] },
            ],
            ...to('web'),
          },
        ],
      }),
    )
    expect(routes.get('infra/infra~web~mesh')?.spec.http?.map(brief)).toEqual([
      '=/a.B/Get → web*1',
      '^/a.B/ h1 → web*1',
      '^/a.B/ → web*1',
      '~/(?:a|b)/[^/]+ → web*1',
      '~/[^/]+/Get → web*1',
      ' → web*1',
    ])
  })
})

describe('backends', () => {
  it.each([
    [
      'with weights',
      [{ name: 'web', weight: 3 }, { name: 'two' }, { name: 'one', weight: 0 }],
      ' web*3 two*1',
    ],
    [
      'of which some are not there',
      [
        { name: 'web', weight: 3 },
        { name: 'none', weight: 2 },
      ],
      ' web*3 500*2',
    ],
    ['of which none is there', [{ name: 'none' }], ' 500'],
    ['that get nothing', [{ name: 'web', weight: 0 }], ' 500'],
    ['that are not given', [], ' 500'],
    ['not there, of weight 0', [{ name: 'web' }, { name: 'none', weight: 0 }], ' web*1'],
  ])('%s', (_name, refs, expected) => {
    const routes = mesh(
      ...['web', 'one', 'two'].map(name => service(name)),
      api('HTTPRoute', 'a', {
        ...ofService('web'),
        rules: [{ backendRefs: refs.map(ref => ({ port: 80, ...ref })) }],
      }),
    )
    expect(routes.get('infra/infra~web~mesh')?.spec.http?.map(brief)).toEqual([`^/ →${expected}`])
  })

  it('without a name of their host have what filters say', () => {
    const filters = (name: string) => [
      {
        type: 'RequestHeaderModifier',
        requestHeaderModifier: { set: [{ name: 'x', value: `100%-${name}` }] },
      },
      { type: 'URLRewrite', urlRewrite: { hostname: `${name}.example` } },
    ]
    const routes = mesh(
      service('web'),
      api('HTTPRoute', 'a', {
        ...ofService('web'),
        rules: [
          { filters: filters('all'), backendRefs: [{ name: 'web', port: 80, filters: filters('one') }] },
        ],
      }),
    )
    expect(routes.get('infra/infra~web~mesh')?.spec.http?.[0]).toMatchObject({
      headers: { request: { set: { x: '100%%-all' } } },
      rewrite: { authority: 'all.example' },
      route: [{ headers: { request: { set: { x: '100%%-one' } } }, authority: 'one.example' }],
    })
  })
})

describe('routes of the mesh', () => {
  it('of a Service’s own namespace are for all, those of another for its clients', () => {
    const routes = mesh(
      service('web'),
      service('mine.other'),
      api('HTTPRoute', 'a', { ...ofService('web'), rules: [to('web')] }),
      api('HTTPRoute', 'b.other', { ...ofService('web', { namespace: 'infra' }), rules: [to('mine')] }),
    )
    const found = [...routes].map(([key, { spec, derivation }]) => [key, spec.exportTo, derivation?.consumer])
    expect(found).toEqual([
      ['infra/infra~web~mesh', ['*'], false],
      ['other/infra~web~mesh', ['.'], true],
    ])
  })

  it('are for the ports that they name', () => {
    const redirect = [{ type: 'RequestRedirect', requestRedirect: { hostname: 'x.example' } }]
    const routes = mesh(
      service('web', [80, 8080]),
      api('HTTPRoute', 'a', { ...ofService('web', { port: 8080 }), rules: [to('web')] }),
      api('HTTPRoute', 'b', {
        ...ofService('web'),
        rules: [{ matches: [{ path: { value: '/r' } }], filters: redirect }],
      }),
    )
    const rules = routes.get('infra/infra~web~mesh')?.spec.http ?? []
    expect(rules.map(brief)).toEqual(['^/r/ :80 → ', '^/r/ :8080 → ', '^/ :8080 → web*1'])
    expect(rules.map(({ redirect: one }) => one?.port)).toEqual([undefined, 8080, undefined])
  })

  it('of connections are the oldest’s', () => {
    const routes = mesh(
      service('db'),
      service('two'),
      api('TCPRoute', 'a', {
        ...ofService('db', { port: 80 }),
        rules: [
          {
            backendRefs: [
              { name: 'two', port: 80 },
              { name: 'none', port: 80, weight: 3 },
            ],
          },
        ],
      }),
    )
    expect(routes.get('infra/infra~db~mesh')?.spec.tcp).toMatchObject([
      {
        match: [{ port: 80 }],
        route: [{ destination: { host: 'two.infra.svc.cluster.local', port: { number: 80 } }, weight: 1 }],
        brokenWeight: 3,
        cause: { kind: 'TCPRoute', name: 'a', path: 'spec.rules[0]' },
      },
    ])
  })
})

describe('routes of a gateway', () => {
  const hostsOf = (...texts: string[]) =>
    Object.fromEntries(
      [...mesh(service('web'), ...texts)].map(([key, { spec }]) => [
        key.replace('infra/gw~', ''),
        (spec.http ?? []).map(brief),
      ]),
    )

  it('are those of the hosts that a listener and a route have in common', () => {
    const found = hostsOf(
      gateway([http({ hostname: '*.example' }), http({ name: 'other', port: 81 })]),
      api('HTTPRoute', 'a', { ...ofGateway, hostnames: ['a.example', 'x.other'], rules: [to('web')] }),
      api('HTTPRoute', 'b', { ...ofGateway, rules: [to('web')] }),
    )
    expect(Object.keys(found).sort()).toEqual([
      'http~*.example',
      'http~a.example',
      'other~*',
      'other~a.example',
      'other~x.other',
    ])
  })

  it('stay with their listener where another is closer to the host', () => {
    const found = hostsOf(
      gateway([
        http({ name: 'any' }),
        http({ name: 'wild', hostname: '*.example' }),
        http({ name: 'one', hostname: 'a.example' }),
        http({ name: 'below', hostname: '*.b.example' }),
        http({ name: 'elsewhere', port: 81, hostname: 'c.example' }),
      ]),
      api('HTTPRoute', 'a', {
        parentRefs: [{ name: 'gw', sectionName: 'wild' }],
        hostnames: ['a.example', 'x.b.example', 'c.example', '*.example'],
        rules: [to('web')],
      }),
    )
    expect(found).toEqual({
      'wild~c.example': ['^/ → web*1'],
      'wild~*.example': ['^/ → web*1'],
      'one~a.example': [],
      'below~*.b.example': [],
    })
  })

  it('know the listener’s gateway, by name', () => {
    const routes = mesh(
      service('web'),
      gateway([http()]),
      api('HTTPRoute', 'a', { ...ofGateway, rules: [to('web')] }),
    )
    expect(routes.get('infra/gw~http~*')?.spec).toMatchObject({ hosts: ['*'], gateways: ['infra/gw~http'] })
  })
})

describe('a change', () => {
  /** Services, Gateways and routes of many, and what a change makes again. */
  function follow(texts: readonly string[]) {
    const gatewayApi = new GatewayApi()
    const write = (resource: MeshResource) => {
      if (resource.kind !== 'Service') return gatewayApi.write(resource)
      const made = fromKubernetesService(resource, () => undefined)
      return gatewayApi.writeService(made.hostname, made)
    }
    for (const resource of validResourcesOf(...texts)) write(resource)
    gatewayApi.update()
    return {
      change(...more: string[]) {
        for (const resource of validResourcesOf(...more)) {
          // The model takes the old one out before it puts the new one in.
          if (resource.kind !== 'Service') gatewayApi.remove(resource)
          write(resource)
        }
        return gatewayApi.update()
      },
      remove(...gone: string[]) {
        for (const resource of validResourcesOf(...gone)) gatewayApi.remove(resource)
        return gatewayApi.update()
      },
    }
  }

  const many = Array.from({ length: 20 }, (_one, at) => at)
  const routeAt = (at: number, target: string, hostname = `h${at}.example`) =>
    api('HTTPRoute', `r${at}`, { ...ofGateway, hostnames: [hostname], rules: [to(target)] })
  const texts = [
    gateway([http()]),
    ...many.map(at => service(`s${at}`)),
    ...many.map(at => routeAt(at, `s${at}`)),
  ]

  it('of a route touches its host only', () => {
    const { change } = follow(texts)
    const update = change(routeAt(3, 's4'))
    expect([...update.routes.keys()]).toEqual(['infra/gw~http~h3.example'])
    expect([...update.gateways.keys()]).toEqual([])
    expect([...update.computed].sort()).toEqual([
      'claims HTTPRoute/infra/r3',
      'gateway infra/gw http h3.example',
      'route HTTPRoute/infra/r3',
      'routeStatus HTTPRoute/infra/r3',
      'rules gateway HTTPRoute/infra/r3',
    ])
  })

  it('of a Service’s ports touches the routes to it, and of the rest nothing', () => {
    const { change } = follow(texts)
    const update = change(service('s5', [81]))
    expect([...update.routes.keys()]).toEqual(['infra/gw~http~h5.example'])
    expect(update.routes.get('infra/gw~http~h5.example')?.spec.http?.map(brief)).toEqual(['^/ → 500'])
    expect([...update.statuses.keys()]).toEqual(['HTTPRoute/infra/r5'])
  })

  it('of nothing makes nothing again', () => {
    const { change } = follow(texts)
    expect(change(texts[0] ?? '', routeAt(3, 's3')).computed).toEqual([])
  })

  it('takes away what is gone, and brings it back', () => {
    const { change, remove } = follow(texts)
    expect([...remove(routeAt(3, 's3')).routes]).toEqual([['infra/gw~http~h3.example', undefined]])
    const gone = remove(gateway([http()]))
    expect(gone.routes.size).toBe(19)
    expect([...gone.routes.values()].every(route => route === undefined)).toBe(true)
    expect([...gone.gateways]).toEqual([['infra/gw~http', undefined]])
    const back = change(gateway([http()]))
    expect(back.routes.size).toBe(19)
    expect(back.gateways.get('infra/gw~http')?.spec.selector).toEqual({
      'gateway.networking.k8s.io/gateway-name': 'gw',
    })
  })

  it('comes to the same as everything at once', () => {
    const later = [
      gateway([http({ hostname: '*.example' }), http({ name: 'b', port: 81 })]),
      service('s5', [81]),
      routeAt(3, 's4', 'other.example'),
      api('HTTPRoute', 'r9', { ...ofService('s1'), rules: [to('s2')] }),
    ]
    const model = new MeshModel()
    for (const text of texts) model.apply({ upserts: validResourcesOf(text), deletes: [] })
    for (const text of later) model.apply({ upserts: validResourcesOf(text), deletes: [] })
    const [gone] = validResourcesOf(routeAt(7, 's7'))
    if (gone) model.apply({ upserts: [], deletes: [refOf(gone)] })
    const all = new Map(
      [...texts, ...later]
        .flatMap(text => validResourcesOf(text))
        .map(one => [JSON.stringify(refOf(one)), one]),
    )
    if (gone) all.delete(JSON.stringify(refOf(gone)))
    const whole = new MeshModel().apply({ upserts: [...all.values()], deletes: [] }).snapshot
    for (const part of ['virtualServices', 'statuses', 'backendTls'] as const)
      expect(new Map([...model.snapshot[part]].sort())).toEqual(new Map([...whole[part]].sort()))
  })
})
