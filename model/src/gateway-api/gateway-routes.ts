import { byAge } from '../age.ts'
import type { RoutedHttp, RoutedService } from './derived.ts'
import { finishRedirect } from './filters.ts'
import { gatewayTables, type HostEntry, servedName } from './gateway-tables.ts'
import { ANY_HOST } from './hostnames.ts'
import type { Query } from './incremental.ts'
import { routeOf } from './inputs.ts'
import { connectionRule, derivedMetadata } from './mesh-routes.ts'
import { type Route, refOfKey } from './objects.ts'
import { inPrecedence } from './precedence.ts'
import { type CompiledRoute, compiledRoute } from './rules.ts'

/** The entry of a host at a listener, so that others of the Gateway do not matter to who asks for it. */
const hostEntry: Query<HostEntry | undefined> = {
  name: 'host',
  compute(key, read) {
    const [gateway = '', listener = '', host = ''] = key.split(' ')
    return read.ask(gatewayTables, gateway)?.hosts[`${listener} ${host}`]
  },
}

/** The routes of a host at a listener of a Gateway, by `<namespace>/<gateway> <listener> <host>`. */
export const gatewayRoutes: Query<RoutedService | undefined> = {
  name: 'gateway',
  compute(key, read) {
    const entry = read.ask(hostEntry, key)
    if (!entry) return undefined
    const [gateway = ''] = key.split(' ')
    const [namespace = '', name = ''] = gateway.split('/')
    const found = entry.routes
      .flatMap((routeKey): Attached[] => {
        const route = routeOf(read, routeKey)
        const compiled = read.ask(compiledRoute, `gateway ${routeKey}`)
        return route && compiled ? [{ key: routeKey, route, compiled }] : []
      })
      .sort((a, b) => byAge(a.route, b.route))
    const { host, listener } = entry
    return {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: derivedMetadata(found, namespace, `${name}~${listener}~${host}`),
      spec: {
        hosts: [host],
        gateways: [`${namespace}/${servedName(name, listener)}`],
        exportTo: ['*'],
        ...rulesOf(entry, found),
      },
      derivation: { routes: found.map(one => refOfKey(one.key)), consumer: false },
    }
  },
}

interface Attached {
  readonly key: string
  readonly route: Route
  readonly compiled: CompiledRoute
}

function rulesOf(entry: HostEntry, found: readonly Attached[]): Partial<RoutedService['spec']> {
  const { kind, port, host } = entry
  if (kind === 'http' || kind === 'https') {
    const rules = inPrecedence(
      found.map(({ route, compiled }) => ({ age: route.metadata, rules: compiled.http })),
    )
    return { http: rules.map(rule => atListener(rule, port, kind)) }
  }
  const [first] = found.flatMap(({ compiled }) => compiled.connections)
  if (!first) return {}
  const rule = connectionRule(first)
  return kind === 'tls'
    ? { tls: [{ ...rule, match: [{ sniHosts: [host === ANY_HOST ? '*' : host], port }] }] }
    : { tcp: [{ ...rule, match: [{ port }] }] }
}

function atListener(rule: RoutedHttp, port: number, scheme: 'http' | 'https'): RoutedHttp {
  return rule.redirect ? { ...rule, redirect: finishRedirect(rule.redirect, { port, scheme }) } : rule
}
