import { serviceHostname } from '../host.ts'
import { bad, good, type Verdict } from './conditions.ts'
import type { Reader } from './incremental.ts'
import { listed, objectOf, type ServiceFacts } from './inputs.ts'
import { describeTarget, GROUP, parseKey, type Target } from './objects.ts'

/** Where a reference starts. */
export interface Source {
  readonly kind: string
  readonly namespace: string
}

/** Whether a ReferenceGrant of the target's namespace lets objects of this kind and namespace refer to it. */
export function isPermitted(read: Reader, from: Source, to: Target): boolean {
  if (from.namespace === to.namespace) return true
  return listed(read, 'grantsIn', to.namespace).some(key => {
    const { namespace, name } = parseKey(key)
    const grant = objectOf(read, 'ReferenceGrant', namespace, name)
    return (
      grant?.spec.from.some(
        one => one.group === GROUP && one.kind === from.kind && one.namespace === from.namespace,
      ) &&
      grant.spec.to.some(
        one =>
          one.group === to.group &&
          one.kind === to.kind &&
          (one.name === undefined || one.name === '' || one.name === to.name),
      )
    )
  })
}

/** What is said of a reference that no ReferenceGrant permits. */
export function notPermitted(from: Source, to: Target, path: string): Verdict {
  return bad(
    'RefNotPermitted',
    `no ReferenceGrant of namespace ${to.namespace} lets objects of kind ${from.kind} of namespace ${from.namespace} refer to ${describeTarget(to)}`,
    path,
  )
}

interface BackendReference {
  readonly group: string
  readonly kind: string
  readonly name: string
  readonly namespace?: string | undefined
  readonly port?: number | undefined
}

/** Where a backend is, or why it is nowhere. */
export type Backend =
  | { readonly host: string; readonly port: number; readonly verdict?: undefined }
  | { readonly verdict: Verdict }

/**
 * Resolves a reference to what a route sends to: a Service, or with Istio's kind `Hostname` the host of a
 * ServiceEntry. Clients of a mesh may call any service anyhow: only gateways need a grant.
 */
export function resolveBackend(
  read: Reader,
  from: Source,
  ref: BackendReference,
  path: string,
  needsGrant: boolean,
): Backend {
  const namespace = ref.namespace ?? from.namespace
  const isHostname = ref.group === 'networking.istio.io' && ref.kind === 'Hostname'
  if (!isHostname && (ref.group !== '' || ref.kind !== 'Service')) {
    const kind = ref.group === '' ? ref.kind : `${ref.group}/${ref.kind}`
    return {
      verdict: bad(
        'InvalidKind',
        `${kind} is no kind that a route can send to: use a Service`,
        `${path}.kind`,
      ),
    }
  }
  if (isHostname && ref.port === undefined)
    return { verdict: bad('UnsupportedValue', 'a Hostname needs a port', `${path}.port`) }
  const target = { group: ref.group, kind: ref.kind, namespace, name: ref.name }
  if (needsGrant && !isHostname && !isPermitted(read, from, target))
    return { verdict: notPermitted(from, target, `${path}.namespace`) }
  const host = isHostname ? ref.name : serviceHostname(ref.name, namespace)
  const service = read.input<ServiceFacts>(`service ${host}`)
  const named = isHostname ? `host ${host}` : describeTarget(target)
  if (!service) return { verdict: bad('BackendNotFound', `there is no ${named}`, `${path}.name`) }
  const port = ref.port ?? 0
  if (!service.ports.includes(port))
    return {
      verdict: bad(
        'BackendNotFound',
        `${named} has no port ${port}; it has ${service.ports.join(', ') || 'none'}`,
        `${path}.port`,
      ),
    }
  return { host, port }
}

/** All references lead somewhere, or the first that does not. */
export function resolvedRefs(problems: readonly Verdict[]): Verdict {
  const [first] = problems
  if (!first) return good('ResolvedRefs', 'every reference leads somewhere')
  // Of several, the message names all.
  return { ...first, message: [...new Set(problems.map(({ message }) => message))].join('; ') }
}
