import type { ObjectMeta } from '@seine/api'
import { byAge } from '../age.ts'
import { serviceHostname } from '../host.ts'
import { hostnamesOf } from './attachment.ts'
import type { RoutedHttp, RoutedService, RoutedTcp, RoutedTls } from './derived.ts'
import { finishRedirect } from './filters.ts'
import type { Query } from './incremental.ts'
import { listed, routeOf, type ServiceFacts } from './inputs.ts'
import { objectKey, type Route, refOfKey } from './objects.ts'
import { inPrecedence, type RuleList } from './precedence.ts'
import { routeState } from './route-conflicts.ts'
import { type CompiledConnections, type CompiledRoute, compiledRoute } from './rules.ts'

/**
 * The routes of a Service that routes of one namespace make, by `<namespace>/<service> <namespace of the routes>`:
 * for all clients where it is the Service's own, else for the clients of that namespace.
 */
export const meshRoutes: Query<RoutedService | undefined> = {
  name: 'mesh',
  compute(key, read) {
    const [service = '', owner = ''] = key.split(' ')
    const [namespace = '', name = ''] = service.split('/')
    const host = serviceHostname(name, namespace)
    const found: Attached[] = []
    for (const routeKey of listed(read, 'routesOf', objectKey('Service', namespace, name))) {
      const route = routeOf(read, routeKey)
      const compiled = read.ask(compiledRoute, `mesh ${routeKey}`)
      if (route?.metadata.namespace !== owner || !compiled) continue
      const parents = read.ask(routeState, routeKey)?.parents ?? []
      const ports = parents.flatMap(one => (one.service?.host === host ? [one.service.port] : []))
      if (ports.length > 0) found.push({ key: routeKey, route, compiled, ports })
    }
    const facts = read.input<ServiceFacts>(`service ${host}`)
    if (found.length === 0 || !facts) return undefined
    found.sort((a, b) => byAge(a.route, b.route))
    const http = inPrecedence(found.map(one => httpRules(one, facts.ports)))
    const byName = found.filter(({ route }) => route.kind === 'TLSRoute')
    const tls = byName.flatMap(one => tlsRules(one, facts.tlsPorts))
    const tcp = [
      ...found.flatMap(one => (one.route.kind === 'TCPRoute' ? tcpRules(one) : [])),
      ...byName.flatMap(one => unmatchedRules(one, facts.tlsPorts)),
    ]
    return {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: derivedMetadata(found, owner, `${namespace}~${name}~mesh`),
      spec: {
        hosts: [host],
        exportTo: [owner === namespace ? '*' : '.'],
        ...(http.length > 0 ? { http } : {}),
        ...(tls.length > 0 ? { tls } : {}),
        ...(tcp.length > 0 ? { tcp } : {}),
      },
      derivation: { routes: found.map(one => refOfKey(one.key)), consumer: owner !== namespace },
    }
  },
}

interface Attached {
  readonly key: string
  readonly route: Route
  readonly compiled: CompiledRoute
  /** Undefined for all ports. */
  readonly ports: readonly (number | undefined)[]
}

/** The metadata of something that was derived from routes: as old as the oldest of them. */
export function derivedMetadata(
  from: readonly { readonly route: { readonly metadata: ObjectMeta } }[],
  namespace: string,
  name: string,
): ObjectMeta {
  const { creationTimestamp } = from[0]?.route.metadata ?? {}
  return {
    name,
    namespace,
    labels: {},
    annotations: {},
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
  }
}

function httpRules({ route, compiled, ports }: Attached, all: readonly number[]): RuleList {
  const rules = compiled.http.flatMap(({ rank, route: rule }) => {
    // Where a redirect leads depends on the port that was called.
    const wanted = rule.redirect && ports.includes(undefined) ? all : ports
    return wanted.map(port => ({ rank, route: atPort(rule, port) }))
  })
  return { age: route.metadata, rules }
}

function atPort(rule: RoutedHttp, port: number | undefined): RoutedHttp {
  if (port === undefined) return rule
  const match = (rule.match ?? [{}]).map(one => ({ ...one, port }))
  return {
    ...rule,
    match,
    ...(rule.redirect ? { redirect: finishRedirect(rule.redirect, { port, scheme: 'http' }) } : {}),
  }
}

function tcpRules({ compiled, ports }: Attached): RoutedTcp[] {
  return compiled.connections.map(one => {
    const match = ports.flatMap(port => (port === undefined ? [] : [{ port }]))
    return { ...connectionRule(one), ...(ports.includes(undefined) ? {} : { match }) }
  })
}

/** The ports of a route by server name: those that it is for and on which TLS is spoken. */
function tlsPortsOf({ ports }: Attached, all: readonly number[]): number[] {
  return all.filter(port => ports.includes(port) || ports.includes(undefined))
}

function tlsRules(one: Attached, all: readonly number[]): RoutedTls[] {
  const sniHosts = [...hostnamesOf(one.route)]
  if (sniHosts.length === 0) return []
  return one.compiled.connections.map(connections => ({
    ...connectionRule(connections),
    match: tlsPortsOf(one, all).map(port => ({ port, sniHosts })),
  }))
}

/** A route without hosts is for any; what no route by server name is for has nowhere to go. */
function unmatchedRules(one: Attached, all: readonly number[]): RoutedTcp[] {
  const match = tlsPortsOf(one, all).map(port => ({ port }))
  const isForAny = hostnamesOf(one.route).length === 0
  return one.compiled.connections.map(connections => ({
    ...connectionRule(isForAny ? connections : { ...connections, targets: [] }),
    match,
  }))
}

/** Where connections go, without what chooses them. */
export function connectionRule({ targets, brokenWeight, cause }: CompiledConnections): RoutedTcp {
  return {
    route: targets.map(({ host, port, weight }) => ({
      destination: { host, port: { number: port } },
      weight,
    })),
    ...(brokenWeight > 0 || targets.length === 0 ? { brokenWeight: Math.max(brokenWeight, 1) } : {}),
    cause,
  }
}

/** The keys of the queries of mesh routes that routes with a Service as parent take part in. */
export function meshRouteKeys(route: Route): string[] {
  const own = route.metadata.namespace
  return (route.spec.parentRefs ?? []).flatMap(ref =>
    ref.group === '' && ref.kind === 'Service' ? [`${ref.namespace ?? own}/${ref.name} ${own}`] : [],
  )
}
