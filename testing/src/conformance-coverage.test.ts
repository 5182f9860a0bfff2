import { fileURLToPath } from 'node:url'
import { kindDefinitions, leafFields, UNSUPPORTED } from '@seine/api'
import { describe, expect, it } from 'vitest'
import { type CaseObject, readCases } from './conformance-case.ts'
import { NOT_SHOWN } from './conformance-exceptions.ts'

/** A field that no case uses, and that has no reason among the exceptions, was never seen to do anything. */

const FOLDER = fileURLToPath(new URL('../../conformance', import.meta.url))
const OBJECTS = readCases(FOLDER).flatMap(({ objects }) => objects)
const GATEWAY_API = 'gateway.networking.k8s.io'

/** The kinds that say what happens to traffic. */
const KINDS: readonly (readonly [group: string, kind: string])[] = [
  ...['VirtualService', 'DestinationRule', 'ServiceEntry', 'WorkloadEntry', 'Gateway'].map(
    kind => ['networking.istio.io', kind] as const,
  ),
  ...['Sidecar', 'EnvoyFilter'].map(kind => ['networking.istio.io', kind] as const),
  ...['PeerAuthentication', 'AuthorizationPolicy'].map(kind => ['security.istio.io', kind] as const),
  ...['GatewayClass', 'Gateway', 'ListenerSet', 'HTTPRoute', 'GRPCRoute'].map(
    kind => [GATEWAY_API, kind] as const,
  ),
  ...['TLSRoute', 'TCPRoute', 'ReferenceGrant', 'BackendTLSPolicy'].map(kind => [GATEWAY_API, kind] as const),
]

function isOf({ apiVersion = '', kind: own }: CaseObject, group: string, kind: string): boolean {
  return own === kind && apiVersion.startsWith(`${group}/`)
}

function holds(value: unknown, [step, ...rest]: readonly string[]): boolean {
  if (step === undefined) return value !== undefined
  if (typeof value !== 'object' || value === null) return false
  if (step === '*') return Object.values(value).some(inner => holds(inner, rest))
  return holds((value as Record<string, unknown>)[step], rest)
}

function isRefused(kind: string, path: readonly string[]): boolean {
  const patterns = (UNSUPPORTED as Record<string, readonly (readonly string[])[]>)[kind] ?? []
  return patterns.some(pattern => pattern.every((step, index) => path[index] === step))
}

/** What a field is called wherever it stands: a policy is the same for all, for a subset and for a port. */
function nameOf(path: readonly string[]): string {
  return path
    .join('.')
    .replace(/^subsets\.\*\.trafficPolicy/, 'trafficPolicy')
    .replace('trafficPolicy.portLevelSettings.*', 'trafficPolicy')
}

/** The ways to write each field of a kind that is not refused. */
function fieldsOf(group: string, kind: string): Map<string, (readonly string[])[]> {
  const found = new Map<string, (readonly string[])[]>()
  const schema = kindDefinitions.find(one => one.group === group && one.kind === kind)?.schema
  for (const path of leafFields(schema as never))
    if (!isRefused(kind, path)) found.set(nameOf(path), [...(found.get(nameOf(path)) ?? []), path])
  return found
}

/** Why a field has no case; an exception with a star at its end is for all that begins so. */
function exceptionOf(kind: string, name: string): string | undefined {
  const full = `${kind} ${name}`
  return Object.keys(NOT_SHOWN).find(one =>
    one.endsWith('**') ? full.startsWith(one.slice(0, -2)) : one === full,
  )
}

describe.each(KINDS)('%s %s', (group, kind) => {
  const specs = OBJECTS.filter(object => isOf(object, group, kind)).map(({ spec }) => spec)
  const fields = [...fieldsOf(group, kind)]
  const title = group === GATEWAY_API ? `${kind} of ${group}` : kind
  const wanted = fields.filter(([name]) => exceptionOf(title, name) === undefined)

  it.each(wanted)('%s is in a case', (_name, ways) => {
    expect(ways.some(path => specs.some(spec => holds(spec, path)))).toBe(true)
  })
})

describe('the exceptions', () => {
  const names = KINDS.flatMap(([group, kind]) => {
    const title = group === GATEWAY_API ? `${kind} of ${group}` : kind
    return [...fieldsOf(group, kind).keys()].map(name => exceptionOf(title, name))
  })

  it.each(Object.keys(NOT_SHOWN))('%s is a field', name => {
    expect(names).toContain(name)
  })
})
