import { renderProxy } from '@seine/pilot-traffic'
import {
  explainInbound,
  type HttpRequest,
  type ProxyConfiguration,
  readConfiguration,
  type Traffic,
} from '@seine/pilot-traffic/explain'
import { meshOf, objectYaml, podYaml, serviceYaml, sidecar } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { authorizationPlugin } from './authorization.ts'

const ID = (account: string, namespace = 'default', domain = 'cluster.local') =>
  `spiffe://${domain}/ns/${namespace}/sa/${account}`
const CLIENT = ID('client')

const policy = (name: string, spec: object) =>
  objectYaml('security.istio.io/v1', 'AuthorizationPolicy', name, spec)
const allow = (...rules: object[]) => policy('allow', { rules })
const deny = (...rules: object[]) => policy('deny', { action: 'DENY', rules })

/** The sidecar of a workload with an HTTP port 8080 and a TCP port 9000, under some policies. */
function server(...policies: string[]): ProxyConfiguration {
  const ports = [
    { name: 'http', port: 80, targetPort: 8080 },
    { name: 'tcp', port: 9000 },
  ]
  const snapshot = meshOf(serviceYaml('web', { ports }), podYaml('web', '10.1.0.1'), ...policies)
  const proxy = sidecar('web', { address: '10.1.0.1', labels: { app: 'web' } })
  return readConfiguration(renderProxy(snapshot, proxy, [authorizationPlugin]))
}

interface Caller {
  readonly identity?: string | undefined
  readonly address?: string
}

function may(configuration: ProxyConfiguration, traffic: Traffic, caller: Caller): boolean {
  const { identity, address = '10.1.0.9' } = caller
  const port = traffic.kind === 'http' ? 8080 : 9000
  const question = { traffic, address: '10.1.0.1', port, peer: { identity, address } }
  return explainInbound(configuration, question).verdict.outcome === 'forwarded'
}

const request = (more: Partial<HttpRequest> = {}): HttpRequest => ({
  kind: 'http',
  method: 'GET',
  scheme: 'http',
  authority: 'web.example.com',
  path: '/',
  headers: {},
  ...more,
})
const TCP: Traffic = { kind: 'tcp' }

describe('without rules to allow', () => {
  it.each([
    ['no policy', [], true],
    ['a policy without rules', [policy('nothing', {})], false],
    ['a policy with an empty list of rules', [allow()], false],
    ['a rule without conditions', [allow({})], true],
    ['a policy to deny, with an empty list of rules', [deny()], true],
    ['a rule to deny everything', [deny({})], false],
    ['a policy for other workloads', [policy('other', { selector: { matchLabels: { app: 'api' } } })], true],
    ['a policy of another namespace', [policy('nothing.shop', {})], true],
    ['a policy of the root namespace', [policy('nothing.istio-system', {})], false],
    [
      'a policy of the root namespace for other workloads',
      [policy('nothing.istio-system', { selector: { matchLabels: { app: 'api' } } })],
      true,
    ],
  ])('%s: allowed is %s', (_what, policies, expected) => {
    const configuration = server(...(policies as string[]))
    expect(may(configuration, request(), { identity: CLIENT })).toBe(expected)
    expect(may(configuration, request(), {})).toBe(expected)
    expect(may(configuration, TCP, { identity: CLIENT })).toBe(expected)
  })
})

describe('trust domains', () => {
  const settings = JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio', namespace: 'istio-system' },
    data: { mesh: '{trustDomain: new.org, trustDomainAliases: [old.org]}' },
  })
  const OLD = ID('client', 'default', 'old.org')
  const NEW = ID('client', 'default', 'new.org')
  const OTHER = ID('client', 'default', 'other.org')

  it.each([
    ['the mesh’s own', { principals: ['new.org/ns/default/sa/client'] }, [OLD, NEW]],
    ['an alias', { principals: ['old.org/ns/default/sa/client'] }, [OLD, NEW]],
    [
      'cluster.local, which stands for them',
      { principals: ['cluster.local/ns/default/sa/client'] },
      [OLD, NEW],
    ],
    ['one with its scheme', { principals: [OLD] }, [OLD, NEW]],
    ['a beginning', { principals: ['old.org/ns/default/*'] }, [OLD, NEW]],
    ['domains by their end', { principals: ['*.org/ns/default/sa/client'] }, [OLD, NEW, OTHER]],
    ['another', { principals: ['other.org/ns/default/sa/client'] }, [OTHER]],
    ['any', { principals: ['*/ns/default/sa/client'] }, [OLD, NEW, OTHER]],
    ['none that is this', { notPrincipals: ['new.org/ns/default/sa/client'] }, [OTHER]],
    ['an account', { serviceAccounts: ['client'] }, [OLD, NEW]],
  ])('of principals: %s', (_what, source, expected) => {
    const configuration = server(settings, allow({ from: [{ source }] }))
    const allowed = [OLD, NEW, OTHER].filter(identity => may(configuration, request(), { identity }))
    expect(allowed).toEqual(expected)
  })

  it('are aliases of conditions, too', () => {
    const when = [{ key: 'source.principal', values: ['new.org/ns/default/sa/client'] }]
    const configuration = server(settings, allow({ when }))
    expect([OLD, NEW, OTHER].map(identity => may(configuration, request(), { identity }))).toEqual([
      true,
      true,
      false,
    ])
  })
})

describe('sources', () => {
  const from = (source: object) => server(allow({ from: [{ source }] }))
  it.each([
    ['a principal', { principals: ['cluster.local/ns/default/sa/client'] }, { identity: CLIENT }, true],
    ['a principal with its scheme', { principals: [CLIENT] }, { identity: CLIENT }, true],
    [
      'another principal',
      { principals: ['cluster.local/ns/default/sa/client'] },
      { identity: ID('other') },
      false,
    ],
    [
      'a longer principal',
      { principals: ['cluster.local/ns/default/sa/client'] },
      { identity: ID('client-2') },
      false,
    ],
    ['principals by prefix', { principals: ['cluster.local/ns/default/*'] }, { identity: ID('other') }, true],
    ['principals by suffix', { principals: ['*/sa/client'] }, { identity: ID('client', 'shop') }, true],
    ['any principal', { principals: ['*'] }, { identity: ID('whoever', 'x') }, true],
    ['any principal, but plaintext', { principals: ['*'] }, {}, false],
    ['not a principal', { notPrincipals: ['*/sa/client'] }, { identity: CLIENT }, false],
    ['not a principal, but another', { notPrincipals: ['*/sa/client'] }, { identity: ID('other') }, true],
    ['not a principal, and plaintext', { notPrincipals: ['*/sa/client'] }, {}, true],
    ['a namespace', { namespaces: ['default'] }, { identity: CLIENT }, true],
    ['another namespace', { namespaces: ['default'] }, { identity: ID('client', 'default-2') }, false],
    ['namespaces by prefix', { namespaces: ['dev-*'] }, { identity: ID('client', 'dev-1') }, true],
    ['a namespace, but plaintext', { namespaces: ['*'] }, {}, false],
    ['not a namespace', { notNamespaces: ['shop'] }, { identity: ID('client', 'shop') }, false],
    ['an account of the policy’s namespace', { serviceAccounts: ['client'] }, { identity: CLIENT }, true],
    [
      'an account of that name elsewhere',
      { serviceAccounts: ['client'] },
      { identity: ID('client', 'shop') },
      false,
    ],
    [
      'an account with its namespace',
      { serviceAccounts: ['shop/client'] },
      { identity: ID('client', 'shop') },
      true,
    ],
    [
      'an account of another trust domain',
      { serviceAccounts: ['client'] },
      { identity: ID('client', 'default', 'evil.example') },
      false,
    ],
    ['not an account', { notServiceAccounts: ['client'] }, { identity: CLIENT }, false],
    ['an address', { ipBlocks: ['10.1.0.9'] }, {}, true],
    ['a range of addresses', { ipBlocks: ['10.0.0.0/8'] }, {}, true],
    ['another range', { ipBlocks: ['192.0.2.0/24'] }, {}, false],
    ['not a range', { notIpBlocks: ['10.0.0.0/8'] }, {}, false],
    ['a range of clients', { remoteIpBlocks: ['10.0.0.0/8'] }, {}, true],
    ['not a range of clients', { notRemoteIpBlocks: ['10.0.0.0/8'] }, {}, false],
    [
      'all of what one source says',
      { principals: ['*/sa/client'], namespaces: ['shop'] },
      { identity: CLIENT },
      false,
    ],
  ])('%s', (_what, source, caller: Caller, expected) => {
    expect(may(from(source), request(), caller)).toBe(expected)
    expect(may(from(source), TCP, caller)).toBe(expected)
  })

  it('are alternatives of each other', () => {
    const sources = [{ source: { namespaces: ['shop'] } }, { source: { principals: ['*/sa/client'] } }]
    expect(may(server(allow({ from: sources })), request(), { identity: CLIENT })).toBe(true)
  })
})

describe('operations', () => {
  const to = (operation: object) => server(allow({ to: [{ operation }] }))
  it.each([
    ['a method', { methods: ['GET'] }, {}, true],
    ['another method', { methods: ['GET'] }, { method: 'POST' }, false],
    ['methods by prefix', { methods: ['P*'] }, { method: 'PATCH' }, true],
    ['not a method', { notMethods: ['GET'] }, {}, false],
    ['a path', { paths: ['/a'] }, { path: '/a' }, true],
    ['a path with a query', { paths: ['/a'] }, { path: '/a?x=1' }, true],
    ['a path that goes round', { paths: ['/a'] }, { path: '/b/../a' }, true],
    ['a longer path', { paths: ['/a'] }, { path: '/a/b' }, false],
    ['paths by prefix', { paths: ['/a/*'] }, { path: '/a/b/c' }, true],
    ['paths by suffix', { paths: ['*.html'] }, { path: '/a/b.html' }, true],
    ['any path', { paths: ['*'] }, { path: '/' }, true],
    ['one segment', { paths: ['/users/{*}/files'] }, { path: '/users/7/files' }, true],
    ['one segment, but two', { paths: ['/users/{*}/files'] }, { path: '/users/7/8/files' }, false],
    ['any segments', { paths: ['/users/{**}'] }, { path: '/users/7/8/files' }, true],
    ['a template with a dot', { paths: ['/v1.0/{*}'] }, { path: '/v1x0/a' }, false],
    ['not a path', { notPaths: ['/admin'] }, { path: '/admin' }, false],
    ['a host', { hosts: ['web.example.com'] }, { authority: 'WEB.example.com' }, true],
    ['hosts by suffix', { hosts: ['*.example.com'] }, {}, true],
    ['another host', { hosts: ['*.example.org'] }, {}, false],
    ['not a host', { notHosts: ['web.*'] }, {}, false],
    ['a port', { ports: ['8080'] }, {}, true],
    ['another port', { ports: ['80'] }, {}, false],
    ['not a port', { notPorts: ['8080'] }, {}, false],
    ['all of what one operation says', { methods: ['GET'], paths: ['/a'] }, { path: '/b' }, false],
  ])('%s', (_what, operation, more: Partial<HttpRequest>, expected) => {
    expect(may(to(operation), request(more), { identity: CLIENT })).toBe(expected)
  })
})

describe('conditions', () => {
  const when = (...conditions: object[]) => server(allow({ when: conditions }))
  it.each([
    ['a header', [{ key: 'request.headers[x-team]', values: ['red'] }], true],
    ['a header with another value', [{ key: 'request.headers[x-team]', values: ['blue*'] }], false],
    ['a header that is not there', [{ key: 'request.headers[x-none]', values: ['*'] }], false],
    ['not a header’s value', [{ key: 'request.headers[x-team]', notValues: ['red'] }], false],
    ['values and notValues', [{ key: 'request.headers[x-team]', values: ['r*'], notValues: ['red'] }], false],
    ['a principal', [{ key: 'source.principal', values: ['cluster.local/ns/default/sa/client'] }], true],
    ['a namespace', [{ key: 'source.namespace', values: ['shop'] }], false],
    ['an address', [{ key: 'source.ip', values: ['10.0.0.0/8'] }], true],
    ['a client’s address', [{ key: 'remote.ip', notValues: ['10.1.0.9'] }], false],
    ['the workload’s address', [{ key: 'destination.ip', values: ['10.1.0.1'] }], true],
    ['the workload’s port', [{ key: 'destination.port', values: ['8080', '9090'] }], true],
    [
      'all of several',
      [
        { key: 'destination.port', values: ['8080'] },
        { key: 'source.namespace', values: ['shop'] },
      ],
      false,
    ],
  ])('%s', (_what, conditions, expected) => {
    const headers = { 'x-team': 'red' }
    expect(may(when(...conditions), request({ headers }), { identity: CLIENT })).toBe(expected)
  })
})

describe('of several policies and rules', () => {
  it('any that allows does, and any that denies comes first', () => {
    const get = { to: [{ operation: { methods: ['GET'] } }] }
    const fromShop = { from: [{ source: { namespaces: ['shop'] } }] }
    const configuration = server(
      allow(get, fromShop),
      policy('more', { rules: [{ to: [{ operation: { paths: ['/open'] } }] }] }),
      deny({ to: [{ operation: { paths: ['/admin'] } }] }),
    )
    const ask = (more: Partial<HttpRequest>, identity = CLIENT) =>
      may(configuration, request(more), { identity })
    expect(ask({})).toBe(true)
    expect(ask({ method: 'POST' })).toBe(false)
    expect(ask({ method: 'POST' }, ID('a', 'shop'))).toBe(true)
    expect(ask({ method: 'POST', path: '/open' })).toBe(true)
    expect(ask({ path: '/admin' })).toBe(false)
    expect(ask({ path: '/admin' }, ID('a', 'shop'))).toBe(false)
  })
})

describe('on TCP', () => {
  it.each([
    ['a rule about requests allows nothing', [allow({ to: [{ operation: { methods: ['GET'] } }] })], false],
    [
      'a condition on a header allows nothing',
      [allow({ when: [{ key: 'request.headers[a]', values: ['b'] }] })],
      false,
    ],
    ['a rule about ports allows', [allow({ to: [{ operation: { ports: ['9000'] } }] })], true],
    [
      'a rule about ports and requests allows nothing',
      [allow({ to: [{ operation: { ports: ['9000'], paths: ['/'] } }] })],
      false,
    ],
    [
      'a rule to deny requests denies by what else it says',
      [deny({ from: [{ source: { namespaces: ['default'] } }], to: [{ operation: { methods: ['GET'] } }] })],
      false,
    ],
    [
      'a rule to deny requests of others does not',
      [deny({ from: [{ source: { namespaces: ['shop'] } }], to: [{ operation: { methods: ['GET'] } }] })],
      true,
    ],
    [
      'a rule to deny requests alone denies all',
      [deny({ to: [{ operation: { methods: ['GET'] } }] })],
      false,
    ],
  ])('%s', (_what, policies, expected) => {
    expect(may(server(...policies), TCP, { identity: CLIENT })).toBe(expected)
  })
})

it('names the rule that decided', () => {
  const configuration = server(deny({ to: [{ operation: { paths: ['/admin'] } }] }))
  const question = {
    traffic: request({ path: '/admin' }),
    address: '10.1.0.1',
    port: 8080,
    peer: { identity: CLIENT, address: '10.1.0.9' },
  }
  const cause = { kind: 'AuthorizationPolicy', namespace: 'default', name: 'deny', path: 'spec.rules[0]' }
  const step = explainInbound(configuration, question).steps.find(({ stage }) => stage === 'authorization')
  expect(step?.causes).toEqual([cause])
  expect(configuration.causesOf('listeners', 'virtualInbound')).toContainEqual(cause)
})
