import { describe, expect, it } from 'vitest'
import { definitionOf, findKind, kindDefinitions } from '../kinds.ts'
import { keyOf, refOf } from '../resource.ts'
import { type CheckedObject, checkObject, parseObject } from './object.ts'

const virtualService = (spec: unknown, metadata: unknown = { name: 'a' }) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata,
  spec,
})
const ROUTE = { route: [{ destination: { host: 'b' } }] }
const linesOf = ({ problems }: CheckedObject) =>
  problems.map(({ code, severity, path, message }) => `${code} ${severity} ${path}: ${message}`)

describe('an object with mistakes', () => {
  it('is read without its unknown fields', () => {
    const checked = checkObject(virtualService({ hosts: ['a'], http: [{ ...ROUTE, timeOut: '1s' }] }))
    expect(linesOf(checked)).toEqual([
      'IST0106 error spec.http[0].timeOut: there is no field "timeOut" here: did you mean "timeout"?',
    ])
    expect(checked.resource?.spec).toEqual({ hosts: ['a'], http: [ROUTE] })
  })

  it('is a removal for a canary only where it says which', () => {
    const removal = (annotations: object) =>
      linesOf(checkObject(virtualService({ hosts: ['a'], http: [ROUTE] }, { name: 'a', annotations })))
    const refused = [
      'IST0106 error metadata.annotations: seine.dev/canary-removes is "true" beside seine.dev/canary, or is not there',
    ]
    expect(removal({ 'seine.dev/canary': 'web', 'seine.dev/canary-removes': 'true' })).toEqual([])
    expect(removal({ 'seine.dev/canary-removes': 'true' })).toEqual(refused)
    expect(removal({ 'seine.dev/canary': 'web', 'seine.dev/canary-removes': 'yes' })).toEqual(refused)
  })

  it('is read with its wrong values and with defaults, and its rules are checked too', () => {
    const http = [
      { ...ROUTE, match: [{ port: 0 }], fault: { delay: { fixedDelay: '1s', percentage: {} } } },
      { redirect: { uri: '/a' }, timeout: '1s' },
    ]
    const checked = checkObject(virtualService({ hosts: ['a'], http }))
    expect(linesOf(checked)).toEqual([
      'IST0106 error spec.http[0].match[0].port: a port is 1 to 65535',
      'IST0106 error spec.http[1].timeout: goes with route: a redirect or direct response reaches no destination',
    ])
    expect(checked.resource?.spec).toMatchObject({
      http: [{ match: [{ port: 0 }], fault: { delay: { percentage: { value: 0 } } } }, {}],
    })
  })

  it('is not read where a type is wrong, and known by its name all the same', () => {
    const checked = checkObject(virtualService({ hosts: 'a' }, { name: 'a', namespace: 'shop' }))
    expect(checked.resource).toBeUndefined()
    expect(checked.ref).toEqual({ kind: 'VirtualService', namespace: 'shop', name: 'a' })
    expect(linesOf(checked)).toEqual(['IST0106 error spec.hosts: must be a list'])
  })

  it('is nothing to translate', () => {
    expect(parseObject(virtualService({ hosts: ['a'], http: [{ ...ROUTE, timeOut: '1s' }] })).ok).toBe(false)
    expect(parseObject(virtualService({ hosts: ['a'], http: [ROUTE] })).ok).toBe(true)
  })

  it('with nothing but warnings is translated', () => {
    const doubtful = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: { name: 'a' },
      spec: { hosts: ['a.example.com'], ports: [{ number: 80, name: 'http' }], resolution: 'STATIC' },
    }
    expect(linesOf(checkObject(doubtful))).toEqual([
      'IST0133 warning spec.resolution: STATIC without endpoints and workloadSelector leads nowhere',
    ])
    expect(parseObject(doubtful).ok).toBe(true)
  })
})

describe('null', () => {
  it('is the same as a field that is left out', () => {
    const checked = checkObject(
      virtualService({ hosts: ['a'], http: [{ ...ROUTE, timeout: null }], tcp: null }),
    )
    expect(checked.problems).toEqual([])
    expect(checked.resource?.spec).toEqual({ hosts: ['a'], http: [ROUTE] })
  })

  it('stays where it is another program that reads the value', () => {
    const { resource } = checkObject({
      apiVersion: 'networking.istio.io/v1alpha3',
      kind: 'EnvoyFilter',
      metadata: { name: 'a' },
      spec: { configPatches: [{ applyTo: 'CLUSTER', patch: { operation: 'MERGE', value: { a: null } } }] },
    })
    expect(resource?.spec).toMatchObject({ configPatches: [{ patch: { value: { a: null } } }] })
  })
})

describe('kinds of the same name', () => {
  const gateways = ['networking.istio.io/v1', 'gateway.networking.k8s.io/v1'].map(apiVersion =>
    definitionOf({ apiVersion, kind: 'Gateway' }),
  )

  it('are told apart by their group', () => {
    expect(gateways.map(one => one?.group)).toEqual(['networking.istio.io', 'gateway.networking.k8s.io'])
    expect(findKind('gateways')).toBe(gateways[0])
    expect(findKind('Gateway.gateway.networking.k8s.io')).toBe(gateways[1])
    expect(findKind('gtw')).toBe(gateways[1])
  })

  it('have different keys', () => {
    const keys = ['networking.istio.io/v1', 'gateway.networking.k8s.io/v1'].map(apiVersion =>
      keyOf(
        refOf({
          apiVersion,
          kind: 'Gateway',
          metadata: { name: 'a', namespace: 'b', labels: {}, annotations: {} },
          spec: {},
        }),
      ),
    )
    expect(new Set(keys).size).toBe(2)
  })
})

describe('the words for kinds', () => {
  it('mean one kind each, but for the two Gateways', () => {
    const words = kindDefinitions.flatMap(({ kind, plural, shortNames }) =>
      [...new Set([kind.toLowerCase(), plural, ...shortNames])].map(word => [word, kind] as const),
    )
    const shared = words.filter(([word], index) => words.findIndex(other => other[0] === word) !== index)
    expect(shared).toEqual([
      ['gateway', 'Gateway'],
      ['gateways', 'Gateway'],
    ])
  })
})

describe('API versions', () => {
  it.each(
    kindDefinitions.flatMap(({ kind, group, versions }) =>
      versions.map(version => [group ? `${group}/${version}` : version, kind] as const),
    ),
  )('%s of %s is known', (apiVersion, kind) => {
    expect(definitionOf({ apiVersion, kind })?.kind).toBe(kind)
    const codes = checkObject({ apiVersion, kind, metadata: { name: 'a' } }).problems.map(({ code }) => code)
    expect(codes).not.toContain('unknown-kind')
  })

  it.each([
    ['networking.istio.io/v2', 'Sidecar', 'error', 'unknown-kind'],
    ['example.com/v1', 'Sidecar', 'warning', 'ignored-kind'],
    ['gateway.networking.k8s.io/v1', 'UDPRoute', 'error', 'unknown-kind'],
    ['rbac.authorization.k8s.io/v1', 'ClusterRole', 'warning', 'ignored-kind'],
    ['install.istio.io/v1alpha1', 'IstioOperator', 'error', 'unknown-kind'],
  ])('%s of %s: %s %s', (apiVersion, kind, severity, code) => {
    const { problems } = checkObject({ apiVersion, kind, metadata: { name: 'a' } })
    expect(problems).toMatchObject([{ severity, code }])
  })
})
