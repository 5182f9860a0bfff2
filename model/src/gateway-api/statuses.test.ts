import { formatProblem } from '@seine/kit'
import { CERTIFICATE, validResourcesOf } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { MeshModel } from '../mesh-model.ts'
import type { Condition } from './conditions.ts'

/** The statuses of objects in YAML, and the problems that people are told of. */
function statusesOf(...texts: string[]) {
  const { snapshot } = new MeshModel().apply({ upserts: validResourcesOf(...texts), deletes: [] })
  return { statuses: snapshot.statuses, problems: snapshot.problems.map(formatProblem) }
}

/** `Accepted=True/Accepted` for each condition. */
function brief(conditions: readonly Condition[] | undefined): string[] {
  return (conditions ?? []).map(({ type, status, reason }) => `${type}=${status}/${reason}`)
}

const api = (kind: string, name: string, spec: object, meta: object = {}) => {
  const [own = '', namespace = 'infra'] = name.split('.')
  return JSON.stringify({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind,
    metadata: { name: own, ...(kind === 'GatewayClass' ? {} : { namespace }), ...meta },
    spec,
  })
}
const gateway = (listeners: object[], more: object = {}, name = 'gw') =>
  api('Gateway', name, { gatewayClassName: 'seine', listeners, ...more }, { generation: 3 })
const http = (more: object = {}) => ({ name: 'http', port: 80, protocol: 'HTTP', ...more })
const route = (spec: object, name = 'r.infra', kind = 'HTTPRoute', meta: object = {}) =>
  api(kind, name, { parentRefs: [{ name: 'gw', namespace: 'infra' }], ...spec }, { generation: 5, ...meta })
const service = (name: string, more: object = {}) => {
  const [own = '', namespace = 'infra'] = name.split('.')
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: own, namespace },
    spec: { clusterIP: '10.96.0.1', selector: { app: own }, ports: [{ name: 'http', port: 80 }], ...more },
  })
}
const backend = (name: string, more: object = {}) => ({ backendRefs: [{ name, port: 80, ...more }] })
const secret = (name: string, data: object = {}) => {
  const [own = '', namespace = 'infra'] = name.split('.')
  const stringData = { 'tls.crt': CERTIFICATE, 'tls.key': '-----BEGIN PRIVATE KEY-----\nMII\n', ...data }
  return JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: own, namespace }, stringData })
}
const authority = (name: string, data: object = { 'ca.crt': CERTIFICATE }) => {
  const [own = '', namespace = 'infra'] = name.split('.')
  return JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: own, namespace }, data })
}
const grant = (namespace: string, kind: string, from: string, to: string, name?: string) =>
  api('ReferenceGrant', `g${kind.toLowerCase()}.${namespace}`, {
    from: [{ group: 'gateway.networking.k8s.io', kind, namespace: from }],
    to: [{ group: '', kind: to, ...(name ? { name } : {}) }],
  })
const namespace = (name: string, labels: object) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })

describe('a GatewayClass', () => {
  it.each([
    ['seine.dev/gateway-controller', ['Accepted=True/Accepted', 'SupportedVersion=True/SupportedVersion']],
    ['istio.io/gateway-controller', ['Accepted=True/Accepted', 'SupportedVersion=True/SupportedVersion']],
    ['other.example/controller', undefined],
  ])('of %s', (controllerName, expected) => {
    const { statuses } = statusesOf(api('GatewayClass', 'c', { controllerName }, { generation: 2 }))
    const status = statuses.get('GatewayClass//c')
    expect(status && brief(status.conditions)).toEqual(expected)
    if (status) expect(status.conditions?.[0]?.observedGeneration).toBe(2)
  })

  it('has no parameters', () => {
    const parametersRef = { group: 'x.example', kind: 'P', name: 'p' }
    const { statuses, problems } = statusesOf(
      api('GatewayClass', 'c', { controllerName: 'seine.dev/gateway-controller', parametersRef }),
      api('Gateway', 'gw', { gatewayClassName: 'c', listeners: [http()] }),
    )
    expect(brief(statuses.get('GatewayClass//c')?.conditions)[0]).toBe('Accepted=False/InvalidParameters')
    expect(brief(statuses.get('Gateway.gateway.networking.k8s.io/infra/gw')?.conditions).slice(0, 2)).toEqual(
      ['Accepted=False/Invalid', 'Programmed=False/Invalid'],
    )
    expect(problems[0]).toMatch(
      /^test.yaml:3:\d+: error: Gateway infra\/gw: spec.gatewayClassName: .*\[invalid\]$/,
    )
  })
})

describe('a Gateway', () => {
  const listenersOf = (listeners: object[], ...others: string[]) => {
    const { statuses } = statusesOf(gateway(listeners), ...others)
    const status = statuses.get('Gateway.gateway.networking.k8s.io/infra/gw')
    return {
      accepted: brief(status?.conditions)[0],
      listeners: Object.fromEntries(
        (status?.listeners ?? []).map(({ name, conditions, supportedKinds }) => [
          name,
          [...brief(conditions), supportedKinds.map(({ kind }) => kind).join()],
        ]),
      ),
    }
  }
  const FINE = [
    'Accepted=True/Accepted',
    'Programmed=True/Programmed',
    'ResolvedRefs=True/ResolvedRefs',
    'Conflicted=False/NoConflicts',
  ]

  it.each([
    ['HTTP', http(), 'HTTPRoute,GRPCRoute'],
    ['TCP', http({ protocol: 'TCP' }), 'TCPRoute'],
    ['TLS that passes through', http({ protocol: 'TLS', tls: { mode: 'Passthrough' } }), 'TLSRoute'],
    [
      'TLS that ends',
      http({ protocol: 'TLS', tls: { certificateRefs: [{ name: 's' }] } }),
      'TLSRoute,TCPRoute',
    ],
    ['HTTPS', http({ protocol: 'HTTPS', tls: { certificateRefs: [{ name: 's' }] } }), 'HTTPRoute,GRPCRoute'],
    ['HTTP with one kind', http({ allowedRoutes: { kinds: [{ kind: 'GRPCRoute' }] } }), 'GRPCRoute'],
  ])('takes %s', (_name, listener, kinds) => {
    expect(listenersOf([listener], secret('s'))).toEqual({
      accepted: 'Accepted=True/Accepted',
      listeners: { http: [...FINE, kinds] },
    })
  })

  it('of a protocol that is not supported is refused, beside others left out', () => {
    const udp = { name: 'udp', port: 53, protocol: 'UDP' }
    const alone = listenersOf([udp])
    expect(alone.accepted).toBe('Accepted=False/ListenersNotValid')
    expect(alone.listeners['udp']).toEqual([
      'Accepted=False/UnsupportedProtocol',
      'Programmed=False/Invalid',
      'ResolvedRefs=True/ResolvedRefs',
      'Conflicted=False/NoConflicts',
      '',
    ])
    expect(listenersOf([udp, http()]).accepted).toBe('Accepted=True/ListenersNotValid')
  })

  it.each([
    ['only a wrong kind', [{ kind: 'TCPRoute' }], ''],
    [
      'a wrong kind among others',
      [{ kind: 'HTTPRoute' }, { group: 'x.example', kind: 'HTTPRoute' }],
      'HTTPRoute',
    ],
  ])('with %s of routes', (_name, kinds, supported) => {
    const { listeners } = listenersOf([http({ allowedRoutes: { kinds } })])
    expect(listeners['http']?.slice(2)).toEqual([
      'ResolvedRefs=False/InvalidRouteKinds',
      'Conflicted=False/NoConflicts',
      supported,
    ])
  })

  it.each([
    ['that is not there', { name: 'none' }, 'False/InvalidClientCertificateRef'],
    ['of another kind', { kind: 'ConfigMap', name: 's' }, 'False/InvalidClientCertificateRef'],
    ['that holds none', { name: 'bad' }, 'False/InvalidClientCertificateRef'],
    ['of another namespace without a grant', { name: 's', namespace: 'other' }, 'False/RefNotPermitted'],
    ['of another namespace with a grant', { name: 's', namespace: 'open' }, 'True/ResolvedRefs'],
    ['of its own namespace', { name: 's' }, 'True/ResolvedRefs'],
  ])('with a certificate for backends %s', (_name, clientCertificateRef, resolved) => {
    const { statuses, problems } = statusesOf(
      gateway([http()], { tls: { backend: { clientCertificateRef } } }),
      ...['s', 's.other', 's.open'].map(name => secret(name)),
      secret('bad', { 'tls.crt': 'nothing' }),
      grant('open', 'Gateway', 'infra', 'Secret'),
    )
    const conditions = brief(statuses.get('Gateway.gateway.networking.k8s.io/infra/gw')?.conditions)
    // It is served all the same, and known to backends by nothing.
    expect([conditions[0], conditions[2]]).toEqual(['Accepted=True/Accepted', `ResolvedRefs=${resolved}`])
    const isBad = resolved.startsWith('False')
    expect(problems.some(text => text.includes('spec.tls.backend.clientCertificateRef'))).toBe(isBad)
  })

  it.each([
    ['that is not there', { name: 'none' }, 'InvalidCertificateRef'],
    ['of another group', { group: 'x.example', kind: 'Secret', name: 's' }, 'InvalidCertificateRef'],
    ['of another kind', { kind: 'ConfigMap', name: 's' }, 'InvalidCertificateRef'],
    ['that holds none', { name: 'bad' }, 'InvalidCertificateRef'],
    ['of another namespace without a grant', { name: 's', namespace: 'other' }, 'RefNotPermitted'],
    ['of another namespace with a grant for another', { name: 's', namespace: 'wrong' }, 'RefNotPermitted'],
    ['of another namespace with a grant', { name: 's', namespace: 'right' }, undefined],
    ['of another namespace with a grant for all', { name: 's', namespace: 'open' }, undefined],
  ])('with a certificate %s', (_name, ref, reason) => {
    const { listeners } = listenersOf(
      [http({ protocol: 'HTTPS', tls: { certificateRefs: [ref] } })],
      ...['s', 's.other', 's.wrong', 's.right', 's.open'].map(name => secret(name)),
      secret('bad', { 'tls.crt': 'nothing' }),
      grant('wrong', 'Gateway', 'infra', 'Secret', 'another'),
      grant('right', 'Gateway', 'infra', 'Secret', 's'),
      grant('open', 'Gateway', 'infra', 'Secret'),
    )
    expect(listeners['http']?.slice(0, 3)).toEqual(
      reason
        ? ['Accepted=True/Accepted', 'Programmed=False/Invalid', `ResolvedRefs=False/${reason}`]
        : FINE.slice(0, 3),
    )
  })

  it.each([
    [
      'the same host',
      [
        http({ name: 'a', hostname: 'x.example' }),
        http({ name: 'b', hostname: 'x.example', protocol: 'HTTP', allowedRoutes: {} }),
      ],
      {},
    ],
  ])('refuses listeners with %s in its schema', (_name, listeners) => {
    expect(() => statusesOf(gateway(listeners))).toThrow(/already a listener/)
  })

  it.each([
    ['HTTP and TCP', http({ name: 'a' }), http({ name: 'b', protocol: 'TCP' }), 'ProtocolConflict'],
    [
      'HTTP and TLS',
      http({ name: 'a' }),
      http({ name: 'b', protocol: 'TLS', tls: { mode: 'Passthrough' } }),
      'ProtocolConflict',
    ],
    [
      'HTTPS and TLS with one host',
      http({ name: 'a', protocol: 'HTTPS', tls: { certificateRefs: [{ name: 's' }] } }),
      http({ name: 'b', protocol: 'TLS', tls: { mode: 'Passthrough' } }),
      'ProtocolConflict',
    ],
  ])('lets none win of %s at a port', (_name, a, b, reason) => {
    const found = listenersOf([a, b, http({ name: 'c', port: 81 })], secret('s'))
    expect(found.accepted).toBe('Accepted=True/ListenersNotValid')
    for (const name of ['a', 'b']) {
      expect(found.listeners[name]?.slice(0, 2)).toEqual([
        `Accepted=False/${reason}`,
        `Programmed=False/${reason}`,
      ])
      expect(found.listeners[name]?.[3]).toBe(`Conflicted=True/${reason}`)
    }
    expect(found.listeners['c']?.slice(0, 4)).toEqual(FINE)
  })

  it('passes TLS through and ends it at one port, for different hosts', () => {
    const found = listenersOf(
      [
        http({ name: 'a', hostname: 'a.example', protocol: 'TLS', tls: { mode: 'Passthrough' } }),
        http({
          name: 'b',
          hostname: 'b.example',
          protocol: 'TLS',
          tls: { certificateRefs: [{ name: 's' }] },
        }),
      ],
      secret('s'),
    )
    expect(found.listeners['a']?.slice(0, 4)).toEqual(FINE)
    expect(found.listeners['b']?.slice(0, 4)).toEqual(FINE)
  })

  it('leaves its own ports alone', () => {
    expect(listenersOf([http({ port: 15021 })]).listeners['http']?.[0]).toBe('Accepted=False/PortUnavailable')
  })

  it('checks certificates of clients by authorities that are there', () => {
    const listeners = [80, 81, 82, 83].map(port =>
      http({ name: `l${port}`, port, protocol: 'HTTPS', tls: { certificateRefs: [{ name: 's' }] } }),
    )
    const by = (ref: object) => ({
      validation: { caCertificateRefs: [{ group: '', kind: 'ConfigMap', ...ref }] },
    })
    const frontend = {
      default: by({ name: 'ca' }),
      perPort: [
        { port: 81, tls: by({ name: 'none' }) },
        { port: 82, tls: by({ name: 'ca', kind: 'Secret' }) },
        { port: 83, tls: by({ name: 'ca', namespace: 'other' }) },
      ],
    }
    const { statuses, problems } = statusesOf(
      gateway(listeners, { tls: { frontend } }),
      secret('s'),
      authority('ca'),
      authority('ca.other'),
    )
    const found = statuses
      .get('Gateway.gateway.networking.k8s.io/infra/gw')
      ?.listeners?.map(({ conditions }) => brief(conditions).slice(0, 3))
    expect(found).toEqual([
      FINE.slice(0, 3),
      ...['InvalidCACertificateRef', 'InvalidCACertificateKind', 'RefNotPermitted'].map(reason => [
        'Accepted=False/NoValidCACertificate',
        'Programmed=False/Invalid',
        `ResolvedRefs=False/${reason}`,
      ]),
    ])
    expect(problems.filter(text => text.includes('perPort[0]'))).not.toEqual([])
  })

  it('says when clients may come without a valid certificate', () => {
    const validation = {
      mode: 'AllowInsecureFallback',
      caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'ca' }],
    }
    const { statuses } = statusesOf(gateway([http()], { tls: { frontend: { default: { validation } } } }))
    expect(brief(statuses.get('Gateway.gateway.networking.k8s.io/infra/gw')?.conditions)).toContain(
      'InsecureFrontendValidationMode=True/ConfigurationChanged',
    )
  })

  const own = service('gw-service', {
    clusterIP: '10.96.7.7',
    selector: { 'gateway.networking.k8s.io/gateway-name': 'gw' },
  })
  it.each([
    ['no Service', {}, [], 'False/AddressNotAssigned', []],
    ['a Service', {}, [own], 'True/Programmed', [{ type: 'IPAddress', value: '10.96.7.7' }]],
    [
      'the address that it asks for',
      { addresses: [{ value: '10.96.7.7' }] },
      [own],
      'True/Programmed',
      [{ type: 'IPAddress', value: '10.96.7.7' }],
    ],
    [
      'another address than it asks for',
      { addresses: [{ value: '10.0.0.1' }] },
      [own],
      'False/AddressNotUsable',
      [],
    ],
    [
      'the Service that it names',
      { addresses: [{ type: 'Hostname', value: 'gw-service.infra.svc.cluster.local' }] },
      [own],
      'True/Programmed',
      [{ type: 'Hostname', value: 'gw-service.infra.svc.cluster.local' }],
    ],
  ])('with %s', (_name, more, others, programmed, addresses) => {
    const { statuses } = statusesOf(gateway([http()], more), ...others)
    const status = statuses.get('Gateway.gateway.networking.k8s.io/infra/gw')
    expect(brief(status?.conditions)[1]).toBe(`Programmed=${programmed}`)
    expect(status?.addresses).toEqual(addresses)
  })

  it('refuses kinds of addresses and parameters that it does not know', () => {
    const named = statusesOf(gateway([http()], { addresses: [{ type: 'NamedAddress', value: 'x' }] }))
    expect(brief(named.statuses.get('Gateway.gateway.networking.k8s.io/infra/gw')?.conditions)[0]).toBe(
      'Accepted=False/UnsupportedAddress',
    )
    const parametersRef = { group: 'x.example', kind: 'P', name: 'p' }
    const other = statusesOf(gateway([http()], { infrastructure: { parametersRef } }))
    expect(brief(other.statuses.get('Gateway.gateway.networking.k8s.io/infra/gw')?.conditions)[0]).toBe(
      'Accepted=False/InvalidParameters',
    )
  })

  it('of a class that nobody defined is served by nobody, which is a problem; of another’s it is theirs', () => {
    const strange = statusesOf(api('Gateway', 'gw', { gatewayClassName: 'strange', listeners: [http()] }))
    expect(strange.statuses.size).toBe(0)
    expect(strange.problems[0]).toContain('spec.gatewayClassName: there is no GatewayClass strange')
    const theirs = statusesOf(
      api('Gateway', 'gw', { gatewayClassName: 'other', listeners: [http()] }),
      api('GatewayClass', 'other', { controllerName: 'other.example/c' }),
      route({ rules: [backend('none')] }),
    )
    expect(theirs.problems).toEqual([])
    expect(theirs.statuses.get('HTTPRoute/infra/r')?.parents).toEqual([])
  })

  it('carries the generation that it is about', () => {
    const { statuses } = statusesOf(gateway([http()]))
    const status = statuses.get('Gateway.gateway.networking.k8s.io/infra/gw')
    const all = [...(status?.conditions ?? []), ...(status?.listeners?.[0]?.conditions ?? [])]
    expect(new Set(all.map(({ observedGeneration }) => observedGeneration))).toEqual(new Set([3]))
  })
})

describe('a ListenerSet', () => {
  const set = (name: string, listeners: object[], meta: object = {}) =>
    api('ListenerSet', name, { parentRef: { name: 'gw', namespace: 'infra' }, listeners }, meta)
  const allow = (from: string, selector?: object) => ({
    allowedListeners: { namespaces: { from, ...(selector ? { selector } : {}) } },
  })

  it.each([
    ['nothing said', {}, false, false],
    ['its own namespace', allow('Same'), true, false],
    ['all', allow('All'), true, true],
    ['none', allow('None'), false, false],
    ['namespaces by label', allow('Selector', { matchLabels: { team: 'a' } }), false, true],
    [
      'namespaces by expression',
      allow('Selector', { matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['a'] }] }),
      true,
      false,
    ],
  ])('with %s allowed', (_name, more, ofOwn, ofOther) => {
    const { statuses } = statusesOf(
      gateway([http()], more),
      namespace('other', { team: 'a' }),
      set('ls.infra', [http({ port: 81 })]),
      set('ls.other', [http({ port: 82 })]),
    )
    const both = ['infra', 'other'].map(ns => brief(statuses.get(`ListenerSet/${ns}/ls`)?.conditions))
    const expected = (ok: boolean) =>
      ok
        ? ['Accepted=True/Accepted', 'Programmed=True/Programmed']
        : ['Accepted=False/NotAllowed', 'Programmed=False/NotAllowed']
    expect(both).toEqual([expected(ofOwn), expected(ofOther)])
    expect(statuses.get('Gateway.gateway.networking.k8s.io/infra/gw')?.attachedListenerSets).toBe(
      Number(ofOwn) + Number(ofOther),
    )
  })

  it('comes after its Gateway, and after an older one, where listeners conflict', () => {
    const { statuses } = statusesOf(
      gateway([http({ hostname: 'gw.example' })], allow('All')),
      set('young.infra', [http({ hostname: 'set.example' }), http({ name: 'ok', hostname: 'ok.example' })], {
        creationTimestamp: '2026-02-01T00:00:00Z',
      }),
      set('old.infra', [http({ hostname: 'set.example' }), http({ name: 'taken', hostname: 'gw.example' })], {
        creationTimestamp: '2026-01-01T00:00:00Z',
      }),
      set('none.infra', [http({ name: 'tcp', protocol: 'TCP' })], {
        creationTimestamp: '2026-03-01T00:00:00Z',
      }),
    )
    const listeners = (key: string) =>
      Object.fromEntries(
        (statuses.get(key)?.listeners ?? []).map(({ name, conditions }) => [name, brief(conditions)[0]]),
      )
    expect(listeners('Gateway.gateway.networking.k8s.io/infra/gw')).toEqual({
      http: 'Accepted=True/Accepted',
    })
    expect(listeners('ListenerSet/infra/old')).toEqual({
      http: 'Accepted=True/Accepted',
      taken: 'Accepted=False/HostnameConflict',
    })
    expect(listeners('ListenerSet/infra/young')).toEqual({
      http: 'Accepted=False/HostnameConflict',
      ok: 'Accepted=True/Accepted',
    })
    expect(brief(statuses.get('ListenerSet/infra/none')?.conditions)).toEqual([
      'Accepted=False/ListenersNotValid',
      'Programmed=False/ListenersNotValid',
    ])
    expect(statuses.get('Gateway.gateway.networking.k8s.io/infra/gw')?.attachedListenerSets).toBe(2)
  })

  it('has routes of its own, which its Gateway does not have', () => {
    const { statuses } = statusesOf(
      gateway([http()], allow('All')),
      set('ls.infra', [http({ name: 'extra', port: 81 })]),
      service('web'),
      route(
        { parentRefs: [{ kind: 'ListenerSet', name: 'ls', sectionName: 'extra' }], rules: [backend('web')] },
        'a.infra',
      ),
      route({ parentRefs: [{ name: 'gw', sectionName: 'extra' }], rules: [backend('web')] }, 'b.infra'),
    )
    expect(brief(statuses.get('HTTPRoute/infra/a')?.parents?.[0]?.conditions)[0]).toBe(
      'Accepted=True/Accepted',
    )
    expect(brief(statuses.get('HTTPRoute/infra/b')?.parents?.[0]?.conditions)[0]).toBe(
      'Accepted=False/NoMatchingParent',
    )
    expect(statuses.get('ListenerSet/infra/ls')?.listeners?.[0]?.attachedRoutes).toBe(1)
    expect(statuses.get('Gateway.gateway.networking.k8s.io/infra/gw')?.listeners?.[0]?.attachedRoutes).toBe(0)
  })
})

describe('a route at a Gateway', () => {
  const parentOf = (texts: string[], key = 'HTTPRoute/infra/r') => {
    const { statuses, problems } = statusesOf(service('web'), ...texts)
    const [parent] = statuses.get(key)?.parents ?? []
    return { parent, conditions: brief(parent?.conditions), problems, statuses }
  }

  it.each([
    ['all listeners', {}, 'True/Accepted'],
    ['a listener by name', { sectionName: 'http' }, 'True/Accepted'],
    ['a listener that is not there', { sectionName: 'none' }, 'False/NoMatchingParent'],
    ['a port', { port: 80 }, 'True/Accepted'],
    ['a port that is not there', { port: 81 }, 'False/NoMatchingParent'],
    ['a listener with another port', { sectionName: 'http', port: 81 }, 'False/NoMatchingParent'],
  ])('for %s', (_name, ref, accepted) => {
    const { parent, conditions } = parentOf([
      gateway([http()]),
      route({ parentRefs: [{ name: 'gw', ...ref }], rules: [backend('web')] }),
    ])
    expect(conditions[0]).toBe(`Accepted=${accepted}`)
    expect(parent?.parentRef).toEqual({
      group: 'gateway.networking.k8s.io',
      kind: 'Gateway',
      name: 'gw',
      ...ref,
    })
    expect(parent?.controllerName).toBe('seine.dev/gateway-controller')
    expect(parent?.conditions[0]?.observedGeneration).toBe(5)
  })

  it.each([
    ['Same', undefined, 'r.other', 'False/NotAllowedByListeners'],
    ['Same', undefined, 'r.infra', 'True/Accepted'],
    ['All', undefined, 'r.other', 'True/Accepted'],
    ['Selector', { matchLabels: { team: 'a' } }, 'r.other', 'True/Accepted'],
    ['Selector', { matchLabels: { team: 'b' } }, 'r.other', 'False/NotAllowedByListeners'],
    ['Selector', { matchLabels: { 'kubernetes.io/metadata.name': 'other' } }, 'r.other', 'True/Accepted'],
  ])('that takes routes from %s %j: %s', (from, selector, name, accepted) => {
    const listener = http({ allowedRoutes: { namespaces: { from, ...(selector ? { selector } : {}) } } })
    const { conditions } = parentOf(
      [gateway([listener]), namespace('other', { team: 'a' }), route({}, name)],
      `HTTPRoute/${name.split('.')[1]}/r`,
    )
    expect(conditions[0]).toBe(`Accepted=${accepted}`)
  })

  it.each([
    ['HTTPRoute', http({ protocol: 'TCP' }), {}, 'False/NotAllowedByListeners'],
    ['TCPRoute', http(), { rules: [backend('web')] }, 'False/NotAllowedByListeners'],
    [
      'GRPCRoute',
      http({ allowedRoutes: { kinds: [{ kind: 'HTTPRoute' }] } }),
      {},
      'False/NotAllowedByListeners',
    ],
    ['GRPCRoute', http(), {}, 'True/Accepted'],
    [
      'TLSRoute',
      http({ protocol: 'TLS', tls: { mode: 'Passthrough' } }),
      { hostnames: ['a.example'], rules: [backend('web')] },
      'True/Accepted',
    ],
    ['TCPRoute', http({ protocol: 'TCP' }), { rules: [backend('web')] }, 'True/Accepted'],
  ])('as %s', (kind, listener, spec, accepted) => {
    const { conditions } = parentOf([gateway([listener]), route(spec, 'r.infra', kind)], `${kind}/infra/r`)
    expect(conditions[0]).toBe(`Accepted=${accepted}`)
  })

  it('needs a host in common with a listener', () => {
    const { conditions, problems } = parentOf([
      gateway([http({ hostname: '*.example' }), http({ name: 'b', hostname: 'b.other' })]),
      route({ hostnames: ['a.other'], rules: [backend('web')] }),
    ])
    expect(conditions[0]).toBe('Accepted=False/NoMatchingListenerHostname')
    expect(problems[0]).toMatch(
      /error: HTTPRoute infra\/r: spec.hostnames: .*\[no-matching-listener-hostname\]$/,
    )
  })

  it('is counted at each listener that it is attached to, once', () => {
    const { statuses } = parentOf([
      gateway([
        http({ hostname: 'a.example' }),
        http({ name: 'b', hostname: 'b.example' }),
        http({ name: 'c', port: 81 }),
      ]),
      route({ hostnames: ['a.example'], rules: [backend('web')] }),
      route(
        {
          parentRefs: [
            { name: 'gw', sectionName: 'http' },
            { name: 'gw', sectionName: 'c' },
          ],
          rules: [backend('web')],
        },
        's.infra',
      ),
      route({ hostnames: ['none.example'], parentRefs: [{ name: 'gw', port: 80 }] }, 't.infra'),
    ])
    const counts = statuses
      .get('Gateway.gateway.networking.k8s.io/infra/gw')
      ?.listeners?.map(({ name, attachedRoutes }) => [name, attachedRoutes])
    expect(counts).toEqual([
      ['http', 2],
      ['b', 0],
      ['c', 2],
    ])
  })

  it.each([
    ['is there', { name: 'web', port: 80 }, 'True/ResolvedRefs'],
    ['is not there', { name: 'none', port: 80 }, 'False/BackendNotFound'],
    ['has no such port', { name: 'web', port: 81 }, 'False/BackendNotFound'],
    ['is of no known kind', { name: 'web', kind: 'Deployment', group: 'apps' }, 'False/InvalidKind'],
    ['is elsewhere', { name: 'web', namespace: 'other', port: 80 }, 'False/RefNotPermitted'],
    ['is elsewhere, with a grant', { name: 'web', namespace: 'right', port: 80 }, 'True/ResolvedRefs'],
    [
      'is elsewhere, with a grant for another kind',
      { name: 'web', namespace: 'wrong', port: 80 },
      'False/RefNotPermitted',
    ],
    [
      'is Istio’s Hostname',
      { group: 'networking.istio.io', kind: 'Hostname', name: 'web.infra.svc.cluster.local', port: 80 },
      'True/ResolvedRefs',
    ],
  ])('with a backend that %s', (_name, ref, resolved) => {
    const { conditions } = parentOf([
      gateway([http()]),
      ...['other', 'right', 'wrong'].map(ns => service(`web.${ns}`)),
      grant('right', 'HTTPRoute', 'infra', 'Service'),
      grant('wrong', 'GRPCRoute', 'infra', 'Service'),
      route({ rules: [{ backendRefs: [ref] }] }),
    ])
    expect(conditions).toEqual(['Accepted=True/Accepted', `ResolvedRefs=${resolved}`])
  })

  it('with a mirror that is not there does not resolve', () => {
    const filters = [{ type: 'RequestMirror', requestMirror: { backendRef: { name: 'none', port: 80 } } }]
    const { conditions, problems } = parentOf([
      gateway([http()]),
      route({ rules: [{ filters, ...backend('web') }] }),
    ])
    expect(conditions[1]).toBe('ResolvedRefs=False/BackendNotFound')
    expect(problems[0]).toContain(
      'spec.rules[0].filters[0].requestMirror.backendRef.name: there is no Service infra/none',
    )
  })

  it.each([
    ['sessionPersistence', { sessionPersistence: { type: 'Cookie' } }],
    [
      'ExternalAuth',
      {
        filters: [
          {
            type: 'ExternalAuth',
            externalAuth: { protocol: 'GRPC', grpc: {}, backendRef: { name: 'web', port: 80 } },
          },
        ],
      },
    ],
    [
      'a redirect for one backend',
      {
        backendRefs: [
          {
            name: 'web',
            port: 80,
            filters: [{ type: 'RequestMirror', requestMirror: { backendRef: { name: 'web', port: 80 } } }],
          },
        ],
      },
    ],
    [
      'the host taken off',
      { filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier: { remove: ['Host'] } }] },
    ],
    [
      '"*" with credentials',
      {
        filters: [
          { type: 'CORS', cors: { allowOrigins: ['*'], allowCredentials: true, allowMethods: ['*'] } },
        ],
      },
    ],
  ])('leaves a rule out that asks for %s', (_name, rule) => {
    const only = parentOf([gateway([http()]), route({ rules: [rule] })])
    expect(only.conditions[0]).toBe('Accepted=False/UnsupportedValue')
    const { conditions, parent } = parentOf([gateway([http()]), route({ rules: [backend('web'), rule] })])
    expect(conditions).toEqual([
      'Accepted=True/Accepted',
      'ResolvedRefs=True/ResolvedRefs',
      'PartiallyInvalid=True/UnsupportedValue',
    ])
    expect(parent?.conditions[2]?.message).toMatch(/^Dropped Rule spec.rules\[1\]: /)
  })

  it('with a filter that is not known does not resolve', () => {
    const filters = [{ type: 'ExtensionRef', extensionRef: { group: 'x.example', kind: 'F', name: 'f' } }]
    const { conditions } = parentOf([gateway([http()]), route({ rules: [{ filters, ...backend('web') }] })])
    expect(conditions).toEqual(['Accepted=True/Accepted', 'ResolvedRefs=False/InvalidKind'])
  })

  it('that is not there is a problem of the route', () => {
    const { parent, problems } = parentOf([route({})])
    expect(parent).toBeUndefined()
    expect(problems[0]).toContain('HTTPRoute infra/r: spec.parentRefs[0].name: there is no Gateway infra/gw')
  })
})

describe('an HTTPRoute and a GRPCRoute', () => {
  const old = { creationTimestamp: '2026-01-01T00:00:00Z' }
  const young = { creationTimestamp: '2026-02-01T00:00:00Z' }
  const acceptedOf = (...texts: string[]) => {
    const { statuses } = statusesOf(
      service('web'),
      gateway([http(), http({ name: 'b', port: 81 })]),
      ...texts,
    )
    return ['HTTPRoute', 'GRPCRoute'].map(kind => {
      const parents = statuses.get(`${kind}/infra/r`)?.parents ?? []
      return parents.map(({ conditions }) => brief(conditions)[0]).join()
    })
  }
  const of = (kind: string, spec: object, meta: object) =>
    route({ rules: [backend('web')], ...spec }, 'r.infra', kind, meta)

  it('with a host in common are not merged: the older has it', () => {
    const hostnames = { hostnames: ['a.example'] }
    expect(acceptedOf(of('HTTPRoute', hostnames, young), of('GRPCRoute', {}, old))).toEqual([
      'Accepted=False/Conflicted',
      'Accepted=True/Accepted',
    ])
    expect(acceptedOf(of('HTTPRoute', hostnames, old), of('GRPCRoute', {}, young))).toEqual([
      'Accepted=True/Accepted',
      'Accepted=False/Conflicted',
    ])
  })

  it('with no host or no listener in common go together', () => {
    const at = (sectionName: string) => ({ parentRefs: [{ name: 'gw', sectionName }] })
    const both = ['Accepted=True/Accepted', 'Accepted=True/Accepted']
    expect(
      acceptedOf(
        of('HTTPRoute', { hostnames: ['a.example'] }, old),
        of('GRPCRoute', { hostnames: ['b.example'] }, young),
      ),
    ).toEqual(both)
    expect(acceptedOf(of('HTTPRoute', at('http'), old), of('GRPCRoute', at('b'), young))).toEqual(both)
    // At the listener that is left the younger one stays.
    expect(acceptedOf(of('HTTPRoute', at('http'), old), of('GRPCRoute', {}, young))).toEqual(both)
  })

  it('of one Service are not merged either', () => {
    const parent = (port?: number) => ({
      parentRefs: [{ group: '', kind: 'Service', name: 'web', ...(port ? { port } : {}) }],
    })
    expect(acceptedOf(of('HTTPRoute', parent(), old), of('GRPCRoute', parent(80), young))).toEqual([
      'Accepted=True/Accepted',
      'Accepted=False/Conflicted',
    ])
  })
})

describe('a route of the mesh', () => {
  it.each([
    ['the whole Service', {}, 'True/Accepted'],
    ['one port', { port: 80 }, 'True/Accepted'],
    ['a port that it does not have', { port: 81 }, 'False/NoMatchingParent'],
    ['a Service that is not there', { name: 'none' }, 'False/NoMatchingParent'],
    ['a part by name', { sectionName: 'http' }, 'False/UnsupportedValue'],
  ])('for %s', (_name, ref, accepted) => {
    const { statuses } = statusesOf(
      service('web'),
      service('web.other'),
      route({
        parentRefs: [{ group: '', kind: 'Service', name: 'web', ...ref }],
        rules: [backend('web', { namespace: 'other' })],
      }),
    )
    const [parent] = statuses.get('HTTPRoute/infra/r')?.parents ?? []
    // Whom a client of the mesh may call is not a matter of grants.
    expect(brief(parent?.conditions)).toEqual([`Accepted=${accepted}`, 'ResolvedRefs=True/ResolvedRefs'])
    expect(parent?.parentRef).toEqual({ group: '', kind: 'Service', name: 'web', ...ref })
  })
})

describe('a TLSRoute of the mesh', () => {
  it.each([
    ['a port with TLS', 'tls', { port: 443 }, 'True/Accepted'],
    ['a port whose protocol is found out', 'unnamed', { port: 443 }, 'True/Accepted'],
    ['those with TLS of all ports', 'https', {}, 'True/Accepted'],
    ['a port without TLS', 'tls', { port: 80 }, 'False/UnsupportedValue'],
    ['a port of bytes', 'tcp', { port: 443 }, 'False/UnsupportedValue'],
  ])('is for %s', (_what, name, ref, accepted) => {
    const parentRefs = [{ group: '', kind: 'Service', name: 'web', ...ref }]
    const { statuses } = statusesOf(
      service('web', {
        ports: [
          { name: 'http', port: 80 },
          { name, port: 443 },
        ],
      }),
      api('TLSRoute', 'r', { parentRefs, hostnames: ['a.example'], rules: [backend('web')] }),
    )
    const [parent] = statuses.get('TLSRoute/infra/r')?.parents ?? []
    expect(brief(parent?.conditions)[0]).toBe(`Accepted=${accepted}`)
  })
})

describe('a BackendTLSPolicy', () => {
  const policy = (name: string, validation: object, meta: object = {}, target: object = {}) =>
    api(
      'BackendTLSPolicy',
      name,
      {
        targetRefs: [{ group: '', kind: 'Service', name: 'web', ...target }],
        validation: { hostname: 'web.example', ...validation },
      },
      meta,
    )
  const by = (name: string, more: object = {}) => ({
    caCertificateRefs: [{ group: '', kind: 'ConfigMap', name, ...more }],
  })
  const around = [
    gateway([http()]),
    service('web'),
    route({ rules: [backend('web')] }),
    authority('ca'),
    authority('empty', {}),
  ]
  const conditionsOf = (texts: string[], name = 'p') => {
    const { statuses } = statusesOf(...around, ...texts)
    const ancestors = statuses.get(`BackendTLSPolicy/infra/${name}`)?.ancestors
    return { ancestors, conditions: brief(ancestors?.[0]?.conditions) }
  }

  it.each([
    ['an authority', by('ca'), ['Accepted=True/Accepted', 'ResolvedRefs=True/ResolvedRefs']],
    [
      'the system’s',
      { wellKnownCACertificates: 'System' },
      ['Accepted=True/Accepted', 'ResolvedRefs=True/ResolvedRefs'],
    ],
    [
      'others’ well-known ones',
      { wellKnownCACertificates: 'x.example/all' },
      ['Accepted=False/Invalid', 'ResolvedRefs=True/ResolvedRefs'],
    ],
    [
      'an authority that is not there',
      by('none'),
      ['Accepted=False/NoValidCACertificate', 'ResolvedRefs=False/InvalidCACertificateRef'],
    ],
    [
      'a ConfigMap without one',
      by('empty'),
      ['Accepted=False/NoValidCACertificate', 'ResolvedRefs=False/InvalidCACertificateRef'],
    ],
    [
      'another kind',
      by('ca', { kind: 'Secret' }),
      ['Accepted=False/NoValidCACertificate', 'ResolvedRefs=False/InvalidKind'],
    ],
  ])('with %s', (_name, validation, expected) => {
    const { ancestors, conditions } = conditionsOf([policy('p', validation)])
    expect(conditions).toEqual(expected)
    expect(ancestors?.map(({ ancestorRef }) => ancestorRef)).toEqual([
      { group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: 'infra', name: 'gw' },
    ])
  })

  it('gives way to an older one for the same port', () => {
    const young = policy('a', by('ca'), { creationTimestamp: '2026-02-01T00:00:00Z' })
    const old = policy('p', by('ca'), { creationTimestamp: '2026-01-01T00:00:00Z' })
    expect(conditionsOf([young, old]).conditions[0]).toBe('Accepted=True/Accepted')
    expect(conditionsOf([young, old], 'a').conditions[0]).toBe('Accepted=False/Conflicted')
    const forPort = policy('b', by('ca'), {}, { sectionName: 'http' })
    expect(conditionsOf([old, forPort], 'b').conditions[0]).toBe('Accepted=True/Accepted')
  })

  it('without a Gateway that sends there has no ancestors', () => {
    const { statuses } = statusesOf(service('web'), authority('ca'), policy('p', by('ca')))
    expect(statuses.get('BackendTLSPolicy/infra/p')).toEqual({ ancestors: [] })
  })
})
