import { byAge } from '../age.ts'
import { type AttachedListener, type ParentState, type RouteState, routeClaims } from './attachment.ts'
import { bad, type Verdict } from './conditions.ts'
import { intersection } from './hostnames.ts'
import type { Query, Reader } from './incremental.ts'
import { kindOfKey, listed, routeOf } from './inputs.ts'
import { objectKey, parseKey, type Route } from './objects.ts'

/**
 * A route's parents by its key. An HTTPRoute and a GRPCRoute with a host in common at a listener, or with a port in
 * common at a Service, are not merged: the older one has it.
 */
export const routeState: Query<RouteState | undefined> = {
  name: 'route',
  compute(key, read) {
    const claims = read.ask(routeClaims, key)
    const route = routeOf(read, key)
    if (!claims || !route || !CONTENDERS.has(kindOfKey(key))) return claims
    const parents = claims.parents.map(parent => withoutLost(read, key, route, parent))
    return { ...claims, parents }
  },
}

const CONTENDERS: ReadonlySet<string> = new Set(['HTTPRoute', 'GRPCRoute'])

function withoutLost(read: Reader, key: string, route: Route, parent: ParentState): ParentState {
  if (!parent.accepted.ok) return parent
  const namespace = parent.ref.namespace ?? route.metadata.namespace
  const lost = read.ask(lostRoutes, objectKey(parent.ref.kind, namespace, parent.ref.name))
  const own = Object.entries(lost).filter(([id]) => id.startsWith(`${key} `))
  if (own.length === 0) return parent
  const takenBy = (at: string) => own.find(([id]) => id === `${key} ${at}`)?.[1]
  const listeners = parent.listeners.filter(({ listener }) => takenBy(listener) === undefined)
  const winner = parent.service ? takenBy(SERVICE) : listeners.length === 0 ? own[0]?.[1] : undefined
  if (winner === undefined) return { ...parent, listeners }
  return { ...parent, accepted: conflict(winner, parent), listeners: [], service: undefined }
}

function conflict(winner: string, { index, service }: ParentState): Verdict {
  const { kind, namespace, name } = parseKey(winner)
  const what = service ? 'ports' : 'hosts'
  return bad(
    'Conflicted',
    `${kind} ${namespace}/${name}, which is older or comes first by name, has some of its ${what} already`,
    `spec.parentRefs[${index}]`,
  )
}

/** What stands for the listener where a Service is the parent. */
const SERVICE = ''

/**
 * Which routes of a parent, by its key, lose against which: `<route> <listener>` → the route that has what it
 * asks for.
 */
const lostRoutes: Query<Readonly<Record<string, string>>> = {
  name: 'lost',
  compute(parent, read) {
    const keys = listed(read, 'routesOf', parent).filter(key => CONTENDERS.has(kindOfKey(key)))
    if (new Set(keys.map(kindOfKey)).size < 2) return {}
    const routes = keys
      .flatMap(key => {
        const route = routeOf(read, key)
        return route ? [{ key, metadata: route.metadata }] : []
      })
      .sort(byAge)
    const taken: Claim[] = []
    const lost: Record<string, string> = {}
    for (const { key } of routes) {
      for (const claim of claimsOn(read, key, parent)) {
        const rival = taken.find(other => isRival(claim, other))
        if (rival) lost[`${key} ${claim.listener}`] = rival.route
        else taken.push(claim)
      }
    }
    return lost
  },
}

/** A route at a listener, or at a Service. */
interface Claim {
  readonly route: string
  readonly listener: string
  readonly hosts: readonly string[]
  /** Undefined for all of a Service's. */
  readonly port: number | undefined
}

function claimsOn(read: Reader, route: string, parent: string): Claim[] {
  const own = routeOf(read, route)?.metadata.namespace ?? ''
  return (read.ask(routeClaims, route)?.parents ?? [])
    .filter(({ ref }) => objectKey(ref.kind, ref.namespace ?? own, ref.name) === parent)
    .flatMap(({ listeners, service }): Claim[] => [
      ...listeners.map(({ listener, hosts }: AttachedListener) => ({
        route,
        listener,
        hosts,
        port: undefined,
      })),
      ...(service ? [{ route, listener: SERVICE, hosts: [], port: service.port }] : []),
    ])
}

function isRival(a: Claim, b: Claim): boolean {
  if (a.listener !== b.listener || kindOfKey(a.route) === kindOfKey(b.route)) return false
  if (a.listener !== SERVICE)
    return a.hosts.some(host => b.hosts.some(other => intersection(host, other) !== undefined))
  // Routes of another namespace are for clients of that one.
  if (parseKey(a.route).namespace !== parseKey(b.route).namespace) return false
  return a.port === undefined || b.port === undefined || a.port === b.port
}
