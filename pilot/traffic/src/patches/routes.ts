import type { RouteConfiguration } from '@seine/envoy/envoy/config/route/v3/route'
import type { Route, VirtualHost } from '@seine/envoy/envoy/config/route/v3/route_components'
import { istioName } from '../table-places.ts'
import { Journal, withCauses } from './journal.ts'
import { adds, merge, mergesLists, type Patch, type PatchContext, patchList, valueOf } from './patch.ts'

const of = (patches: readonly Patch[], applyTo: Patch['applyTo']) =>
  patches.filter(patch => patch.applyTo === applyTo)

/** Applies patches to a table with the virtual hosts that stand in it. */
export function patchRoutes(
  table: RouteConfiguration,
  patches: readonly Patch[],
  context: PatchContext,
  journal: Journal,
): void {
  const own = patches.filter(patch => matchesTable(table.name, patch, context))
  const whole = new Journal()
  for (const patch of of(own, 'ROUTE_CONFIGURATION')) whole.note(patch, merge(patch, table))
  table.virtualHosts = table.virtualHosts.flatMap(host => patchHost(host, table.name, own, journal) ?? [])
  for (const patch of of(own, 'VIRTUAL_HOST'))
    if (adds(patch)) {
      table.virtualHosts.push(valueOf(patch))
      whole.note(patch, true)
    }
  for (const patch of whole.applied) journal.note(patch, true)
  const metadata = withCauses(table.metadata, whole.applied)
  if (metadata) table.metadata = metadata
}

/**
 * Applies patches to a virtual host that comes by itself (VHDS), of the table that its name begins with. It keeps
 * that name. @returns undefined where one of them removes it.
 */
export function patchVirtualHost(
  host: VirtualHost,
  patches: readonly Patch[],
  context: PatchContext,
  journal: Journal,
): VirtualHost | undefined {
  const { name } = host
  const table = name.slice(0, name.indexOf('/'))
  const own = patches.filter(patch => matchesTable(table, patch, context))
  const patched = patchHost(host, table, own, journal)
  if (patched) patched.name = name
  return patched
}

function patchHost(
  host: VirtualHost,
  table: string,
  patches: readonly Patch[],
  journal: Journal,
): VirtualHost | undefined {
  const names = namesOf(host, table)
  const own = patches.filter(({ match }) => {
    const wanted = match.routeConfiguration?.vhost
    return (
      !wanted ||
      ((!wanted.name || names.includes(wanted.name)) &&
        (!wanted.domainName || host.domains.includes(wanted.domainName)))
    )
  })
  let patched = host
  const noted = new Journal()
  for (const patch of of(own, 'VIRTUAL_HOST')) {
    if (patch.operation === 'REMOVE') {
      journal.note(patch, true)
      return undefined
    }
    if (patch.operation === 'REPLACE') {
      patched = valueOf(patch)
      noted.note(patch, true)
    } else noted.note(patch, merge(patch, patched))
  }
  patchHttpRoutes(patched, of(own, 'HTTP_ROUTE'), journal)
  for (const patch of noted.applied) journal.note(patch, true)
  const metadata = withCauses(patched.metadata, noted.applied)
  if (metadata) patched.metadata = metadata
  return patched
}

/** What a virtual host is called: its name, and what it is called in a table that comes as a whole, as in Istio's. */
function namesOf({ name, routes }: VirtualHost, table: string): string[] {
  const host = name.startsWith(`${table}/`) ? name.slice(table.length + 1) : undefined
  const [only] = routes.map(route => route.name)
  const isUnknown = host !== undefined && (only === 'allow_any' || only === 'block_all')
  return [name, ...(host === undefined ? [] : [istioName(name)]), ...(isUnknown ? [only] : [])]
}

function patchHttpRoutes(host: VirtualHost, patches: readonly Patch[], journal: Journal): void {
  const byRoute = new Map<Route, Patch[]>()
  for (const patch of patches) {
    const matches = (route: Route) => matchesRoute(route, patch)
    if (mergesLists(patch)) {
      for (const route of host.routes.filter(matches)) {
        journal.note(patch, merge(patch, route))
        byRoute.set(route, [...(byRoute.get(route) ?? []), patch])
      }
      continue
    }
    const isMatched = patch.match.routeConfiguration?.vhost?.route !== undefined
    const needsMatch = isMatched || patch.operation === 'REMOVE'
    const before = new Set(host.routes)
    if (!journal.note(patch, patchList(patch, host.routes, needsMatch ? matches : undefined))) continue
    for (const route of host.routes) if (!before.has(route)) byRoute.set(route, [patch])
  }
  for (const [route, applied] of byRoute) {
    const metadata = withCauses(route.metadata, applied)
    if (metadata) route.metadata = metadata
  }
}

const ACTIONS: Readonly<Record<string, string>> = {
  route: 'ROUTE',
  redirect: 'REDIRECT',
  directResponse: 'DIRECT_RESPONSE',
}

function matchesRoute({ name, action }: Route, { match }: Patch): boolean {
  const wanted = match.routeConfiguration?.vhost?.route
  if (!wanted) return true
  if (wanted.name && wanted.name !== name) return false
  return !wanted.action || wanted.action === 'ANY' || ACTIONS[action.case ?? ''] === wanted.action
}

/** `80`; `inbound|8080||`; for gateways `http.80` and `https.443.https.public.default`. */
function matchesTable(name: string, { match }: Patch, context: PatchContext): boolean {
  const wanted = match.routeConfiguration
  if (!wanted) return true
  if (wanted.name && wanted.name !== name) return false
  const parts = name.split('.')
  if (context !== 'GATEWAY') {
    const port = name.startsWith('inbound|') ? name.split('|')[1] : name
    return !wanted.portNumber || String(wanted.portNumber) === port
  }
  const [, port, portName, gateway, namespace] = parts
  return (
    (!wanted.portNumber || String(wanted.portNumber) === port) &&
    (!wanted.portName || wanted.portName === portName) &&
    (!wanted.gateway || wanted.gateway === `${namespace}/${gateway}`)
  )
}
