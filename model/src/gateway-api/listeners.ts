import type { KubernetesGateway, LabelSelector, Listener, ListenerSet } from '@seine/api'
import { byAge } from '../age.ts'
import { bad, good, type Verdict } from './conditions.ts'
import { gatewayClass } from './gateway-classes.ts'
import { ANY_HOST } from './hostnames.ts'
import type { Query, Reader } from './incremental.ts'
import { listed, namespaceLabels, objectOf } from './inputs.ts'
import { conflictsOf } from './listener-conflicts.ts'
import { clientValidation, serverCertificates } from './listener-tls.ts'
import { GROUP, parseKey, type RouteKind } from './objects.ts'
import { labelsMatch } from './selectors.ts'

/** Where a listener is written. */
export interface ListenerOwner {
  readonly kind: 'Gateway' | 'ListenerSet'
  readonly namespace: string
  readonly name: string
}

/** A listener of a Gateway, its own or a ListenerSet's, and what became of it. */
export interface ListenerState {
  readonly owner: ListenerOwner
  readonly name: string
  readonly index: number
  readonly port: number
  readonly protocol: string
  /** `*` where none is written. */
  readonly hostname: string
  readonly passthrough: boolean
  /** Kinds of routes that it takes. */
  readonly kinds: readonly RouteKind[]
  readonly from: 'All' | 'Same' | 'Selector'
  readonly selector: LabelSelector | undefined
  /** Secrets of its certificates that are good, as `namespace/name`. */
  readonly certificates: readonly string[]
  /** Certificates of authorities, in PEM, for those of clients. */
  readonly clientAuthorities: string | undefined
  readonly clientCertificateOptional: boolean
  readonly accepted: Verdict
  readonly conflicted: Verdict | undefined
  readonly resolved: Verdict
  readonly programmed: Verdict
  /** Everything that is wrong with it. */
  readonly findings: readonly Verdict[]
}

/** A ListenerSet that names a Gateway as its parent. */
export interface AttachedSet {
  readonly namespace: string
  readonly name: string
  readonly allowed: boolean
}

/** All listeners of a Gateway, those of its ListenerSets among them, in their order of precedence. */
export interface GatewayListeners {
  readonly namespace: string
  readonly name: string
  readonly accepted: Verdict
  readonly listeners: readonly ListenerState[]
  readonly sets: readonly AttachedSet[]
}

/** The listeners of a Gateway, by `namespace/name`; undefined for one that is not Seine's. */
export const gatewayListeners: Query<GatewayListeners | undefined> = {
  name: 'listeners',
  compute(key, read) {
    const [namespace = '', name = ''] = key.split('/')
    const gateway = objectOf(read, 'Gateway', namespace, name)
    if (!gateway) return undefined
    const owned = read.ask(gatewayClass, gateway.spec.gatewayClassName)
    if (!owned.isOurs) return undefined
    const sets = setsOf(read, gateway)
    const allowed = sets.filter(one => one.allowed)
    const written: WrittenListener[] = [
      ...listenersOf({ kind: 'Gateway', namespace, name }, gateway.spec.listeners),
      ...allowed.flatMap(({ set }) =>
        listenersOf(
          { kind: 'ListenerSet', namespace: set.metadata.namespace, name: set.metadata.name },
          set.spec.listeners,
        ),
      ),
    ]
    const conflicts = conflictsOf(written)
    const listeners = written.map((one, at) => stateOf(read, gateway, one, conflicts[at]))
    return {
      namespace,
      name,
      accepted: gatewayAccepted(gateway, owned.accepted, listeners),
      listeners,
      sets: sets.map(one => ({
        namespace: one.set.metadata.namespace,
        name: one.set.metadata.name,
        allowed: one.allowed,
      })),
    }
  },
}

/** A listener and where it is written. */
export interface WrittenListener {
  readonly owner: ListenerOwner
  readonly index: number
  readonly listener: Listener
}

function listenersOf(owner: ListenerOwner, listeners: readonly Listener[]): WrittenListener[] {
  return listeners.map((listener, index) => ({ owner, index, listener }))
}

/** The ListenerSets of a Gateway, the oldest first. */
function setsOf(read: Reader, gateway: KubernetesGateway): { set: ListenerSet; allowed: boolean }[] {
  const { namespace, name } = gateway.metadata
  return listed(read, 'setsOf', `${namespace}/${name}`)
    .flatMap(key => {
      const at = parseKey(key)
      return objectOf(read, 'ListenerSet', at.namespace, at.name) ?? []
    })
    .filter(({ spec }) => spec.parentRef.group === GROUP && spec.parentRef.kind === 'Gateway')
    .sort(byAge)
    .map(set => ({ set, allowed: isAllowed(read, gateway, set.metadata.namespace) }))
}

function isAllowed(read: Reader, { metadata, spec }: KubernetesGateway, namespace: string): boolean {
  const { from = 'None', selector = {} } = spec.allowedListeners?.namespaces ?? {}
  if (from === 'All') return true
  if (from === 'Same') return namespace === metadata.namespace
  return from === 'Selector' && labelsMatch(selector, namespaceLabels(read, namespace))
}

/** The routes that a protocol carries. */
const KINDS: Readonly<Record<string, readonly RouteKind[]>> = {
  HTTP: ['HTTPRoute', 'GRPCRoute'],
  HTTPS: ['HTTPRoute', 'GRPCRoute'],
  TLS: ['TLSRoute'],
  TCP: ['TCPRoute'],
}

/** Ports of a gateway's workload that the agent and Envoy need for themselves. */
const RESERVED_PORTS: ReadonlySet<number> = new Set([15000, 15020, 15021, 15053, 15090])

function stateOf(
  read: Reader,
  gateway: KubernetesGateway,
  { owner, index, listener }: WrittenListener,
  conflicted: Verdict | undefined,
): ListenerState {
  const path = `spec.listeners[${index}]`
  const { protocol, port, tls, allowedRoutes } = listener
  const passthrough = tls?.mode === 'Passthrough'
  const known = KINDS[protocol] ?? []
  // What ends TLS can hand on the plain connection as well.
  const possible: readonly RouteKind[] = protocol === 'TLS' && !passthrough ? [...known, 'TCPRoute'] : known
  const wanted = allowedRoutes.kinds?.length ? allowedRoutes.kinds : undefined
  const isPossible = ({ group, kind }: { group: string; kind: string }) =>
    group === GROUP && possible.some(one => one === kind)
  const kinds = wanted
    ? possible.filter(kind => wanted.some(one => isPossible(one) && one.kind === kind))
    : possible
  const kindProblems = (known.length > 0 && wanted ? [...wanted.entries()] : []).flatMap(([at, one]) =>
    isPossible(one)
      ? []
      : bad(
          'InvalidRouteKinds',
          `${one.kind} is no kind of route for a listener of protocol ${protocol}`,
          `${path}.allowedRoutes.kinds[${at}]`,
        ),
  )
  const ends = (protocol === 'HTTPS' || protocol === 'TLS') && !passthrough
  const server = ends
    ? serverCertificates(read, owner, tls?.certificateRefs ?? [], `${path}.tls`)
    : { certificates: [], problems: [] }
  const client = protocol === 'HTTPS' ? clientValidation(read, gateway, port) : undefined
  const resolveProblems = [...server.problems, ...(client?.problems ?? []), ...kindProblems]
  const accepted = acceptance(listener, path, conflicted, client?.invalid)
  const resolved =
    resolveProblems[0] ?? good('ResolvedRefs', 'every reference of the listener leads somewhere')
  return {
    owner,
    name: listener.name,
    index,
    port,
    protocol,
    hostname: listener.hostname ?? ANY_HOST,
    passthrough,
    kinds,
    from: allowedRoutes.namespaces.from,
    selector: allowedRoutes.namespaces.selector,
    certificates: server.certificates,
    clientAuthorities: client?.authorities,
    clientCertificateOptional: client?.optional ?? false,
    accepted,
    conflicted,
    resolved,
    programmed: programming(accepted, ends && server.certificates.length === 0),
    findings: [...(accepted.ok ? [] : [accepted]), ...resolveProblems],
  }
}

function acceptance(
  { protocol, port, tls }: Listener,
  path: string,
  conflicted: Verdict | undefined,
  withoutAuthority: Verdict | undefined,
): Verdict {
  if (!KINDS[protocol])
    return bad('UnsupportedProtocol', `protocol ${protocol} is not supported`, `${path}.protocol`)
  if (RESERVED_PORTS.has(port))
    return bad('PortUnavailable', `port ${port} is the gateway's own: use another one`, `${path}.port`)
  if (conflicted) return conflicted
  const [option] = Object.keys(tls?.options ?? {})
  if (option !== undefined)
    return bad('UnsupportedValue', `the option ${option} is not supported`, `${path}.tls.options`)
  return withoutAuthority ?? good('Accepted', 'the listener is valid')
}

function programming(accepted: Verdict, lacksCertificate: boolean): Verdict {
  if (!accepted.ok) {
    const isConflict = accepted.reason.endsWith('Conflict')
    return bad(isConflict ? accepted.reason : 'Invalid', accepted.message, accepted.path)
  }
  return lacksCertificate
    ? bad('Invalid', 'there is no certificate that could be used')
    : good('Programmed', 'gateways are told of the listener')
}

function gatewayAccepted(
  { spec }: KubernetesGateway,
  ofClass: Verdict,
  listeners: readonly ListenerState[],
): Verdict {
  if (!ofClass.ok)
    return bad('Invalid', `the GatewayClass is not accepted: ${ofClass.message}`, 'spec.gatewayClassName')
  const parameters = spec.infrastructure?.parametersRef
  if (parameters)
    return bad(
      'InvalidParameters',
      `${parameters.kind} ${parameters.name} is no kind of parameters that is known here: leave parametersRef out`,
      'spec.infrastructure.parametersRef',
    )
  const address = (spec.addresses ?? []).findIndex(({ type }) => type !== 'IPAddress' && type !== 'Hostname')
  if (address >= 0)
    return bad(
      'UnsupportedAddress',
      `addresses of type ${spec.addresses?.[address]?.type} are not supported: use IPAddress or Hostname`,
      `spec.addresses[${address}].type`,
    )
  const own = listeners.filter(({ owner }) => owner.kind === 'Gateway')
  const invalid = own.filter(({ accepted }) => !accepted.ok)
  if (invalid.length === 0) return good('Accepted', 'the gateway is valid')
  const message = invalid.map(({ name, accepted }) => `listener ${name}: ${accepted.message}`).join('; ')
  return { ok: invalid.length < own.length, reason: 'ListenersNotValid', message }
}
