import type { KubernetesGateway } from '@seine/api'
import { resolveHost } from '../host.ts'
import { bad, type Condition, condition, good, type Verdict } from './conditions.ts'
import { gatewayClass } from './gateway-classes.ts'
import type { Query, Reader } from './incremental.ts'
import { listed, objectOf, type ServiceFacts } from './inputs.ts'
import { clientCertificate } from './listener-tls.ts'
import {
  type GatewayListeners,
  gatewayListeners,
  type ListenerOwner,
  type ListenerState,
} from './listeners.ts'
import { GROUP, objectKey, parseKey } from './objects.ts'
import { routeState } from './route-conflicts.ts'
import type { ListenerStatus, Status } from './status.ts'

/** The status of a Gateway, by its key; undefined for one that is not Seine's. */
export const gatewayStatus: Query<Status | undefined> = {
  name: 'gatewayStatus',
  compute(key, read) {
    const { namespace, name } = parseKey(key)
    const gateway = objectOf(read, 'Gateway', namespace, name)
    const all = read.ask(gatewayListeners, `${namespace}/${name}`)
    if (!gateway) return undefined
    if (!all) return strangeClass(read, gateway)
    const { generation } = gateway.metadata
    const own = all.listeners.filter(({ owner }) => owner.kind === 'Gateway')
    const { addresses, usable } = addressesOf(read, gateway)
    const programmed = gatewayProgrammed(all, usable)
    const { problem: ownReference } = clientCertificate(read, gateway)
    const conditions: Condition[] = [
      condition('Accepted', all.accepted, generation),
      condition('Programmed', programmed, generation),
      condition('ResolvedRefs', ownReference ?? gatewayResolved(own), generation),
    ]
    if (allowsInsecureClients(gateway))
      conditions.push(
        condition(
          'InsecureFrontendValidationMode',
          good('ConfigurationChanged', 'clients may come without a valid certificate'),
          generation,
        ),
      )
    return {
      body: {
        conditions,
        addresses,
        listeners: listenerStatuses(read, own, { kind: 'Gateway', namespace, name }, generation),
        attachedListenerSets: all.sets.filter(
          one => read.ask(setAccepted, `${one.namespace}/${one.name}`)?.ok,
        ).length,
      },
      findings: distinct([
        ...(all.accepted.ok || all.accepted.path === undefined ? [] : [all.accepted]),
        ...own.flatMap(({ findings }) => findings),
        ...all.listeners.flatMap(({ findings }) => findings.filter(isOfGateway)),
        ...(usable.ok || usable.path === undefined ? [] : [usable]),
        ...(ownReference ? [ownReference] : []),
      ]),
    }
  },
}

/** A Gateway whose class nobody has defined is served by nobody; what others serve is theirs. */
function strangeClass(read: Reader, { spec }: KubernetesGateway): Status | undefined {
  const { gatewayClassName } = spec
  if (read.ask(gatewayClass, gatewayClassName).isKnown) return undefined
  const message = `there is no GatewayClass ${gatewayClassName}, so nobody serves the gateway; Seine's are seine and istio`
  return { body: undefined, findings: [bad('UnknownClass', message, 'spec.gatewayClassName')] }
}

/** Whether a verdict on a listener is about its Gateway's fields. */
function isOfGateway({ path }: Verdict): boolean {
  return path?.startsWith('spec.tls') ?? false
}

function distinct(verdicts: readonly Verdict[]): Verdict[] {
  return [...new Map(verdicts.map(one => [JSON.stringify(one), one])).values()]
}

function gatewayProgrammed({ accepted }: GatewayListeners, usable: Verdict): Verdict {
  return accepted.ok ? usable : bad('Invalid', accepted.message, accepted.path)
}

function gatewayResolved(listeners: readonly ListenerState[]): Verdict {
  const unresolved = listeners.filter(({ resolved }) => !resolved.ok)
  if (unresolved.length === 0) return good('ResolvedRefs', 'every reference leads somewhere')
  return bad(
    'ListenersNotResolved',
    unresolved.map(({ name, resolved }) => `listener ${name}: ${resolved.message}`).join('; '),
  )
}

function allowsInsecureClients({ spec }: KubernetesGateway): boolean {
  const frontend = spec.tls?.frontend
  return [frontend?.default, ...(frontend?.perPort?.map(({ tls }) => tls) ?? [])].some(
    one => one?.validation?.mode === 'AllowInsecureFallback',
  )
}

/**
 * Where a Gateway is reached: at the Services that select its workloads. What it asks for must be among that, or be
 * the name of a Service.
 */
function addressesOf(
  read: Reader,
  { metadata, spec }: KubernetesGateway,
): { addresses: { type: string; value: string }[]; usable: Verdict } {
  const services = listed(read, 'servicesOf', `${metadata.namespace}/${metadata.name}`).flatMap(
    host => read.input<ServiceFacts>(`service ${host}`) ?? [],
  )
  const programmed = good('Programmed', 'gateways are told of the listeners')
  const held = services.flatMap(({ addresses }) => addresses)
  const ofServices = [
    ...held.map(value => ({ type: 'IPAddress', value })),
    ...services.flatMap(({ addresses, hostname }) =>
      addresses.length > 0 ? [] : [{ type: 'Hostname', value: hostname }],
    ),
  ]
  const wanted = (spec.addresses ?? []).flatMap(({ type, value }) => (value ? [{ type, value }] : []))
  if (wanted.length === 0) {
    return services.length > 0
      ? { addresses: ofServices, usable: programmed }
      : {
          addresses: [],
          usable: bad(
            'AddressNotAssigned',
            `no Service of namespace ${metadata.namespace} selects the gateway's workloads by the label gateway.networking.k8s.io/gateway-name: ${metadata.name}`,
          ),
        }
  }
  const isUsable = ({ type, value }: { type: string; value: string }) =>
    type === 'IPAddress'
      ? held.includes(value)
      : read.input<ServiceFacts>(`service ${resolveHost(value, metadata.namespace)}`) !== undefined
  const unusable = wanted.find(one => !isUsable(one))
  const addresses = wanted.filter(isUsable)
  if (!unusable) return { addresses, usable: programmed }
  const index = (spec.addresses ?? []).findIndex(({ value }) => value === unusable.value)
  return {
    addresses,
    usable: bad(
      'AddressNotUsable',
      unusable.type === 'IPAddress'
        ? `no Service that selects the gateway's workloads has the address ${unusable.value}`
        : `there is no Service with the host ${unusable.value}`,
      `spec.addresses[${index}].value`,
    ),
  }
}

function listenerStatuses(
  read: Reader,
  listeners: readonly ListenerState[],
  owner: ListenerOwner,
  generation: number | undefined,
): ListenerStatus[] {
  const counts = read.ask(attachedRoutes, objectKey(owner.kind, owner.namespace, owner.name))
  return listeners.map(one => ({
    name: one.name,
    supportedKinds: one.kinds.map(kind => ({ group: GROUP, kind })),
    attachedRoutes: counts[one.name] ?? 0,
    conditions: [
      condition('Accepted', one.accepted, generation),
      condition('Programmed', one.programmed, generation),
      condition('ResolvedRefs', one.resolved, generation),
      conflictCondition(one, generation),
    ],
  }))
}

/** This one says that something is wrong where it is true. */
function conflictCondition({ conflicted }: ListenerState, generation: number | undefined): Condition {
  const verdict = conflicted ?? good('NoConflicts', 'no other listener has the same port and host')
  return { ...condition('Conflicted', verdict, generation), status: conflicted ? 'True' : 'False' }
}

/** How many routes are attached to each listener of a Gateway or ListenerSet, by its key. */
const attachedRoutes: Query<Readonly<Record<string, number>>> = {
  name: 'attachedRoutes',
  compute(key, read) {
    const counts: Record<string, number> = {}
    for (const route of listed(read, 'routesOf', key)) {
      const attached = (read.ask(routeState, route)?.parents ?? [])
        .flatMap(({ listeners }) => listeners)
        .filter(({ owner }) => objectKey(owner.kind, owner.namespace, owner.name) === key)
      for (const listener of new Set(attached.map(one => one.listener)))
        counts[listener] = (counts[listener] ?? 0) + 1
    }
    return counts
  },
}

/** Whether a ListenerSet, by `namespace/name`, is taken in by its Gateway; undefined when that is not Seine's. */
const setAccepted: Query<Verdict | undefined> = {
  name: 'setAccepted',
  compute(key, read) {
    const [namespace = '', name = ''] = key.split('/')
    const set = objectOf(read, 'ListenerSet', namespace, name)
    if (!set) return undefined
    const { namespace: parent = namespace, name: parentName } = set.spec.parentRef
    const all = read.ask(gatewayListeners, `${parent}/${parentName}`)
    if (!all) return undefined
    const found = all.sets.find(one => one.namespace === namespace && one.name === name)
    if (!found?.allowed)
      return bad(
        'NotAllowed',
        `Gateway ${parent}/${parentName} takes no ListenerSets of namespace ${namespace}: see its allowedListeners`,
        'spec.parentRef',
      )
    const own = listenersOfSet(all, namespace, name)
    const invalid = own.filter(one => !one.accepted.ok)
    if (!all.accepted.ok && all.accepted.reason !== 'ListenersNotValid')
      return bad(
        'ParentNotAccepted',
        `Gateway ${parent}/${parentName}: ${all.accepted.message}`,
        'spec.parentRef',
      )
    if (invalid.length === 0) return good('Accepted', 'the listeners are valid')
    const message = invalid.map(one => `listener ${one.name}: ${one.accepted.message}`).join('; ')
    return { ok: invalid.length < own.length, reason: 'ListenersNotValid', message }
  },
}

/** The status of a ListenerSet, by its key; undefined when its Gateway is not Seine's. */
export const listenerSetStatus: Query<Status | undefined> = {
  name: 'setStatus',
  compute(key, read) {
    const { namespace, name } = parseKey(key)
    const set = objectOf(read, 'ListenerSet', namespace, name)
    if (!set) return undefined
    const { namespace: parent = namespace, name: parentName } = set.spec.parentRef
    if (!objectOf(read, 'Gateway', parent, parentName))
      return {
        body: undefined,
        findings: [
          bad('ParentNotAccepted', `there is no Gateway ${parent}/${parentName}`, 'spec.parentRef.name'),
        ],
      }
    const all = read.ask(gatewayListeners, `${parent}/${parentName}`)
    const accepted = read.ask(setAccepted, `${namespace}/${name}`)
    if (!all || !accepted) return undefined
    const { generation } = set.metadata
    const own = listenersOfSet(all, namespace, name)
    const programmed: Verdict = accepted.ok
      ? good('Programmed', 'gateways are told of the listeners')
      : accepted
    return {
      body: {
        conditions: [
          condition('Accepted', accepted, generation),
          condition('Programmed', programmed, generation),
        ],
        listeners: listenerStatuses(read, own, { kind: 'ListenerSet', namespace, name }, generation),
      },
      findings: [
        ...(accepted.ok || accepted.path === undefined ? [] : [accepted]),
        ...own.flatMap(({ findings }) => findings.filter(one => !isOfGateway(one))),
      ],
    }
  },
}

function listenersOfSet(all: GatewayListeners, namespace: string, name: string): ListenerState[] {
  return all.listeners.filter(
    ({ owner }) => owner.kind === 'ListenerSet' && owner.namespace === namespace && owner.name === name,
  )
}
