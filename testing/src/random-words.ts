import fc from 'fast-check'

/** The few words that random meshes are made of: few, so that objects refer to each other and collide. */

export const namespaces = ['a', 'b', 'istio-system'] as const
export const portNumbers = [80, 80, 8080, 9000, 443, 15001, 15006, 15021, 15090, 3306] as const
export const workloadIps = ['10.1.0.1', '10.1.0.2', '10.1.0.3', '2001:db8::11'] as const

/** Names by which the same and other services are called; some are each other's short forms. */
export const hosts = [
  'web',
  'web.a',
  'web.a.svc',
  'web.a.svc.cluster.local',
  'web.b.svc.cluster.local',
  'api.a.svc.cluster.local',
  'db',
  'example.com',
  'EXAMPLE.com',
  'example.com.',
  'www.example.com',
  '*.example.com',
  '*.a.svc.cluster.local',
  '*',
  '10.96.0.1',
  '2001:db8::1',
] as const

/** Networks of the mesh. */
export const NETWORKS = ['n1', 'n2'] as const

export function pick<T>(values: readonly T[]): fc.Arbitrary<T> {
  return fc.constantFrom(...values)
}

/** A good value mostly, and now and then one that validation or translation may stumble on. */
export function mostly<T, U>(good: readonly T[], odd: readonly U[]): fc.Arbitrary<T | U> {
  return fc.oneof({ arbitrary: pick(good), weight: 30 }, { arbitrary: pick(odd), weight: 1 })
}

/** A value, or more often none. */
export function maybe<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined, freq: 3 })
}

export const label = pick(['v1', 'v2'])

/** Labels that tell versions apart, or none. */
export const labels: fc.Arbitrary<Record<string, string>> = fc.record(
  { app: pick(['web', 'api']), version: label, 'security.istio.io/tlsMode': pick(['istio']) },
  { requiredKeys: [] },
)

/** A record of optional fields of which a few are there. */
export function some(fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> {
  const sparse = Object.fromEntries(
    Object.entries(fields).map(([name, arbitrary]) => [
      name,
      fc.oneof({ arbitrary: fc.constant(undefined), weight: 3 }, { arbitrary, weight: 1 }),
    ]),
  )
  return fc
    .record(sparse)
    .map(record => Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)))
}

/** What says, in a few cases, which network something is in, or is the gateway of. */
export const networkLabels = some({
  'topology.istio.io/network': pick(NETWORKS),
  'networking.istio.io/gatewayPort': mostly(['80', '443'], ['nonsense']),
})

/** An object with one of the fields. */
export function oneOf(fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> {
  return fc.oneof(...Object.entries(fields).map(([name, value]) => value.map(one => ({ [name]: one }))))
}

export const duration = mostly(['1s', '250ms', '1h30m', '1.1s', '20s'], ['0s', '1ns', '99999999999h'])
export const percentage = pick([0, 0.0001, 50, 100]).map(value => ({ value }))
export const stringMatch = fc.oneof(
  mostly(['/', '/a', 'x'], ['']).map(exact => ({ exact })),
  mostly(['/', '/a', 'x'], ['']).map(prefix => ({ prefix })),
  mostly(['.*', '/a.*', '[0-9]+', '(?i)a'], ['(', '\\u0041', 'a{2000}', '[^]']).map(regex => ({ regex })),
)
export const headerName = mostly(['x-user', 'Cookie'], ['host', ':authority', ':path', '', 'not a name'])
