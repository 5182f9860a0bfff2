import type { ParentReference } from '@seine/api'
import { serviceHostname } from '../host.ts'
import { bad, good, type Verdict } from './conditions.ts'
import { servedHosts } from './hostnames.ts'
import type { Query, Reader } from './incremental.ts'
import { namespaceLabels, objectOf, routeOf, type ServiceFacts } from './inputs.ts'
import { gatewayListeners, type ListenerOwner, type ListenerState } from './listeners.ts'
import { GROUP, type Route, type RouteKind } from './objects.ts'
import { type CompiledRoute, compiledRoute } from './rules.ts'
import { labelsMatch } from './selectors.ts'

/** A listener that a route is attached to, and the hosts that it serves there. */
export interface AttachedListener {
  /** The Gateway, by `namespace/name`. */
  readonly gateway: string
  readonly owner: ListenerOwner
  readonly listener: string
  readonly hosts: readonly string[]
}

/** What became of one of a route's parents. */
export interface ParentState {
  readonly ref: ParentReference
  readonly index: number
  readonly accepted: Verdict
  /** For parents that are Gateways or ListenerSets. */
  readonly listeners: readonly AttachedListener[]
  /** For parents that are Services: the host, and the one port that it is for. */
  readonly service: { readonly host: string; readonly port: number | undefined } | undefined
  /** Grants are needed only where a gateway sends requests. */
  readonly side: 'gateway' | 'mesh'
}

/** A route's parents, as far as Seine is in charge of them. */
export interface RouteState {
  readonly parents: readonly ParentState[]
  /** Parents that are not there. */
  readonly missing: readonly Verdict[]
}

/** A route's parents by its key, before routes of another kind are looked at: see `routeState`. */
export const routeClaims: Query<RouteState | undefined> = {
  name: 'claims',
  compute(key, read) {
    const route = routeOf(read, key)
    if (!route) return undefined
    const parents: ParentState[] = []
    const missing: Verdict[] = []
    for (const [index, ref] of (route.spec.parentRefs ?? []).entries()) {
      const found = parentState(read, key, route, ref, index)
      if (!found) continue
      if ('reason' in found) missing.push(found)
      else parents.push(found)
    }
    return { parents, missing }
  },
}

function parentState(
  read: Reader,
  key: string,
  route: Route,
  ref: ParentReference,
  index: number,
): ParentState | Verdict | undefined {
  const namespace = ref.namespace ?? route.metadata.namespace
  if (ref.group === '' && ref.kind === 'Service')
    return serviceParent(read, key, route.kind, ref, index, namespace)
  if (ref.group !== GROUP || (ref.kind !== 'Gateway' && ref.kind !== 'ListenerSet')) return undefined
  const path = `spec.parentRefs[${index}]`
  const owner = { kind: ref.kind, namespace, name: ref.name } as const
  const gateway = gatewayOf(read, owner)
  if (gateway === undefined)
    return bad('NoMatchingParent', `there is no ${ref.kind} ${namespace}/${ref.name}`, `${path}.name`)
  const all = read.ask(gatewayListeners, gateway)
  if (!all) return undefined
  const own = all.listeners.filter(listener => isOwn(listener, owner))
  const { verdict, attached } = attach(read, route, ref, own, path)
  const accepted = verdict.ok ? acceptedRules(read, key, 'gateway') : verdict
  const listeners = accepted.ok ? attached.map(one => ({ ...one, gateway })) : []
  return { ref, index, accepted, listeners, service: undefined, side: 'gateway' }
}

/** The Gateway of a parent, by `namespace/name`; undefined when there is none. */
function gatewayOf(read: Reader, owner: ListenerOwner): string | undefined {
  if (owner.kind === 'Gateway')
    return objectOf(read, 'Gateway', owner.namespace, owner.name) && `${owner.namespace}/${owner.name}`
  const set = objectOf(read, 'ListenerSet', owner.namespace, owner.name)
  if (!set) return undefined
  const { namespace = owner.namespace, name } = set.spec.parentRef
  return objectOf(read, 'Gateway', namespace, name) && `${namespace}/${name}`
}

function isOwn({ owner }: ListenerState, { kind, namespace, name }: ListenerOwner): boolean {
  return owner.kind === kind && owner.namespace === namespace && owner.name === name
}

type Attachment = Omit<AttachedListener, 'gateway'>

/** The listeners of a parent that take a route. */
function attach(
  read: Reader,
  route: Route,
  ref: ParentReference,
  listeners: readonly ListenerState[],
  path: string,
): { verdict: Verdict; attached: Attachment[] } {
  const none = (verdict: Verdict) => ({ verdict, attached: [] })
  const named = listeners.filter(
    ({ name, port }) =>
      (ref.sectionName === undefined || ref.sectionName === name) &&
      (ref.port === undefined || ref.port === port),
  )
  const what = `${ref.kind} ${ref.namespace ?? route.metadata.namespace}/${ref.name}`
  if (named.length === 0) {
    const wanted = [
      ...(ref.sectionName === undefined ? [] : [`named ${ref.sectionName}`]),
      ...(ref.port === undefined ? [] : [`of port ${ref.port}`]),
    ].join(' ')
    return none(
      bad(
        'NoMatchingParent',
        `${what} has no listener ${wanted}`,
        `${path}${ref.sectionName === undefined ? '.port' : '.sectionName'}`,
      ),
    )
  }
  const allowed = named.filter(
    one => one.kinds.includes(route.kind) && allowsNamespace(read, one, route.metadata.namespace),
  )
  if (allowed.length === 0)
    return none(
      bad(
        'NotAllowedByListeners',
        `no listener of ${what} takes a ${route.kind} of namespace ${route.metadata.namespace}: see its protocol and allowedRoutes`,
        path,
      ),
    )
  const attached = allowed.flatMap(({ owner, name, hostname }): Attachment[] => {
    const hosts = servedHosts(hostname, hostnamesOf(route))
    return hosts.length > 0 ? [{ owner, listener: name, hosts }] : []
  })
  if (attached.length === 0)
    return none(
      bad(
        'NoMatchingListenerHostname',
        `no listener of ${what} has a host of the route: they have ${allowed.map(({ hostname }) => hostname).join(', ')}`,
        'spec.hostnames',
      ),
    )
  return { verdict: good('Accepted', 'the route is attached'), attached }
}

/** The hosts that a route is for; none where it is for all. */
export function hostnamesOf(route: Route): readonly string[] {
  return route.kind === 'TCPRoute' ? [] : (route.spec.hostnames ?? [])
}

function allowsNamespace(read: Reader, { from, owner, selector }: ListenerState, namespace: string): boolean {
  if (from === 'All') return true
  if (from === 'Same') return namespace === owner.namespace
  return labelsMatch(selector ?? {}, namespaceLabels(read, namespace))
}

function serviceParent(
  read: Reader,
  key: string,
  kind: RouteKind,
  ref: ParentReference,
  index: number,
  namespace: string,
): ParentState {
  const path = `spec.parentRefs[${index}]`
  const host = serviceHostname(ref.name, namespace)
  const service = read.input<ServiceFacts>(`service ${host}`)
  const state = (accepted: Verdict): ParentState => ({
    ref,
    index,
    accepted,
    listeners: [],
    service: accepted.ok ? { host, port: ref.port } : undefined,
    side: 'mesh',
  })
  if (!service)
    return state(bad('NoMatchingParent', `there is no Service ${namespace}/${ref.name}`, `${path}.name`))
  if (ref.sectionName !== undefined)
    return state(bad('UnsupportedValue', 'a part of a Service is named by its port', `${path}.sectionName`))
  if (ref.port !== undefined && !service.ports.includes(ref.port))
    return state(
      bad(
        'NoMatchingParent',
        `Service ${namespace}/${ref.name} has no port ${ref.port}; it has ${service.ports.join(', ')}`,
        `${path}.port`,
      ),
    )
  const wanted = ref.port === undefined ? service.ports : [ref.port]
  if (kind === 'TLSRoute' && !wanted.some(port => service.tlsPorts.includes(port)))
    return state(
      bad(
        'UnsupportedValue',
        `Service ${namespace}/${ref.name} speaks no TLS there, by which connections could be told apart: say tls or https in the name of its port, or in appProtocol`,
        `${path}${ref.port === undefined ? '' : '.port'}`,
      ),
    )
  return state(acceptedRules(read, key, 'mesh'))
}

/** Whether there is a rule of a route that can be followed. */
function acceptedRules(read: Reader, key: string, side: 'gateway' | 'mesh'): Verdict {
  const compiled = read.ask(compiledRoute, `${side} ${key}`)
  const [problem] = compiled?.unsupported ?? []
  return problem && isWhollyInvalid(compiled) ? problem : good('Accepted', 'the route is attached')
}

function isWhollyInvalid(compiled: CompiledRoute | undefined): boolean {
  return compiled !== undefined && compiled.dropped.length === compiled.ruleCount
}
