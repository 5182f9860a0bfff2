import type { Any } from '@bufbuild/protobuf/wkt'
import { type Destination, type DestinationRule, durationMs } from '@seine/api'
import { duration, type EncodedResource, type Provenance } from '@seine/envoy'
import {
  RouteAction_ClusterNotFoundResponseCode as NotFoundCode,
  type RouteAction_RequestMirrorPolicySchema,
  type RouteActionSchema,
  type RouteSchema,
  VirtualHostSchema,
} from '@seine/envoy/envoy/config/route/v3/route_components'
import {
  findService,
  gatewayName,
  hostAliases,
  type MeshService,
  type MeshSnapshot,
  type RouteDestination,
  type RoutedHttp,
  type RoutedService,
  type RouteMatch,
  resolveHost,
  selects,
} from '@seine/model'
import { clusterNameOf, type ResolvedDestination, resolveDestination } from '../destination.ts'
import { effectivePolicy } from '../destination-rules.ts'
import { dynamicTarget, lookUpOf } from '../dynamic-dns.ts'
import { encode } from '../encode.ts'
import type { Init } from '../init.ts'
import { MISSING_CLUSTER, TELEMETRY_METADATA } from '../names.ts'
import { objectsOf, provenanceField, provenanceMetadata } from '../provenance-metadata.ts'
import type { RouteHeaders } from '../proxy-settings.ts'
import { type TablePlace, virtualHostAt } from '../table-places.ts'
import {
  corsConfig,
  directResponseBody,
  faultConfig,
  hashPolicy,
  headersToAdd,
  hostOverride,
  percent,
  perFilter,
  redirectAction,
  retryPolicy,
  rewriteFields,
} from './actions.ts'
import { MATCH_ALL, matchesEverything, routeMatch } from './matches.ts'

type RouteInit = Init<typeof RouteSchema>
/** What decides which matches can hold at all. */
type Client = Pick<RouteInputs, 'port' | 'namespace' | 'sourceLabels' | 'gateways'>

type RouteActionInit = Init<typeof RouteActionSchema>

/** What a virtual service's routes for one host on one port are made from. */
export interface RouteInputs {
  readonly snapshot: MeshSnapshot
  readonly hostname: string
  readonly port: number
  /** The client's namespace: short names and `sourceNamespace` depend on it. */
  readonly namespace: string
  readonly sourceLabels: Readonly<Record<string, string>>
  /** By which of a virtual service's gateways requests come: `mesh`, or `namespace/name`. */
  readonly gateways: ReadonlySet<string>
  ruleFor(hostname: string): DestinationRule | undefined
  /** What clients' settings say of headers. */
  readonly headers: RouteHeaders
}

/** What the virtual host of one host on one port is made from. */
export interface VirtualHostInputs extends RouteInputs {
  /** The registry's service of that name; a virtual service may also claim a host that has none. */
  readonly service: MeshService | undefined
  readonly virtualService: RoutedService | undefined
  /** What the host is called, as {@link domainsOf} says. */
  readonly domains: readonly string[]
  readonly place: TablePlace
}

/**
 * The virtual host of a host on a port. Its resource name is that of its place, the form that VHDS asks for.
 * Where no route of the virtual service can hold for the client, requests go to the service as if there were none.
 */
export function virtualHost(inputs: VirtualHostInputs): EncodedResource {
  const { place, virtualService, service } = inputs
  const name = virtualHostAt(place, inputs.hostname)
  const routed = virtualService ? virtualServiceRoutes(inputs, virtualService) : []
  const built = routed.length > 0 ? routed : defaultRoutes(inputs)
  const provenance = [...(service ? [service.ref] : []), ...built.flatMap(one => one.provenance)]
  const init = {
    // VHDS finds a virtual host again by its name, which must be the resource's own.
    name,
    domains: [...inputs.domains],
    routes: built.map(({ route }) => route),
    includeRequestAttemptCount: !inputs.headers.hidesAttempts,
    // Which field, the routes say.
    ...provenanceField(objectsOf(provenance)),
  }
  return encode(VirtualHostSchema, name, init, provenance)
}

/**
 * The names and addresses the host is called by. Envoy refuses a table in which a domain stands twice, so an
 * alias that is another service's full name, or an address that is another's, is left to that one.
 * `owns` tells whether a short name or an address leads here on this port, and not to another host.
 */
export function domainsOf(
  { hostname, service, port, namespace, place }: Omit<VirtualHostInputs, 'domains'>,
  owns: (name: string) => boolean,
): string[] {
  const names = hostAliases(hostname, service?.namespace ?? '', namespace)
  // Endpoints of a headless service have names of their own below its name.
  const below = service?.headless ? names.map(name => `*.${name}`) : []
  const addresses = (service?.addresses ?? []).filter(address => !address.includes('/'))
  return [...new Set([...names, ...below, ...addresses])]
    .filter(name => name === hostname || owns(name))
    .flatMap(name => {
      if (name === '*') return ['*']
      const written = name.includes(':') ? `[${name}]` : name
      // An HTTP proxy is told another port than its own, or none where that is 80.
      return !place.proxied || port === 80 ? [written, `${written}:${port}`] : [`${written}:${port}`]
    })
}

/** Whether some route of a virtual service can hold for the client on this port. */
export function hasRoutes({ spec, metadata }: RoutedService, client: Client): boolean {
  return (spec.http ?? []).some(
    ({ match }) => !match?.length || match.some(one => applies(one, client, metadata.namespace)),
  )
}

/** A route with what caused it. */
export interface BuiltRoute {
  readonly route: RouteInit
  readonly provenance: readonly Provenance[]
  /** What it was made from, where somebody wrote it. */
  readonly source?: { readonly route: RoutedHttp; readonly match: RouteMatch }
}

/** The routes of a host for which nobody wrote any. */
export function defaultRoutes(inputs: RouteInputs & Pick<VirtualHostInputs, 'service'>): BuiltRoute[] {
  const { hostname, service } = inputs
  const targets = [{ destination: { host: hostname } }]
  const action: RouteActionInit = {
    ...clusterSpecifier(inputs, targets),
    timeout: duration(0),
    ...retryField(retryPolicy(inputs.snapshot.config.defaultHttpRetryPolicy)),
    ...hashPolicies(inputs, targets),
  }
  const route: RouteInit = {
    name: 'default',
    match: MATCH_ALL,
    action: { case: 'route', value: action },
    typedPerFilterConfig: perFilter(dynamicTargetOf(inputs, targets, undefined)),
    ...metadataFor(inputs, hostname, service ? [service.ref] : []),
  }
  return [{ route, provenance: [] }]
}

/** The routes of a virtual service that can hold for a client; the last one may match everything. */
export function virtualServiceRoutes(inputs: RouteInputs, owner: RoutedService): BuiltRoute[] {
  const ref = { kind: owner.kind, namespace: owner.metadata.namespace, name: owner.metadata.name }
  const built: BuiltRoute[] = []
  for (const [index, route] of (owner.spec.http ?? []).entries()) {
    const matches: readonly RouteMatch[] = route.match?.length ? route.match : [{}]
    for (const [at, match] of matches.entries()) {
      if (!applies(match, inputs, owner.metadata.namespace)) continue
      const path = `spec.http[${index}]`
      const written = { ...ref, path: route.match?.length ? `${path}.match[${at}]` : path }
      const via = route.via ? [route.via] : []
      built.push({
        route: httpRoute(inputs, owner, route, match, [match.cause ?? route.cause ?? written, ...via]),
        provenance: [route.cause ?? { ...ref, path }, ...via],
        source: { route, match },
      })
      // Nothing after a match on everything can be reached; Envoy needs no routes that never match.
      if (matchesEverything(match)) return built
    }
  }
  return built
}

/** Whether a match can ever hold for this client on this port: what is known now is decided now. */
function applies(
  match: RouteMatch,
  { port, namespace, sourceLabels, gateways }: Client,
  owner: string,
): boolean {
  if (match.port !== undefined && match.port !== port) return false
  if (match.sourceNamespace !== undefined && match.sourceNamespace !== namespace) return false
  if (match.gateways?.length && !match.gateways.some(name => gateways.has(gatewayName(name, owner))))
    return false
  return selects(match.sourceLabels, sourceLabels)
}

function httpRoute(
  inputs: RouteInputs,
  owner: RoutedService,
  route: RoutedHttp,
  match: RouteMatch,
  causes: readonly Provenance[],
): RouteInit {
  const targets = (route.route ?? []).map(one => ({
    ...one,
    destination: full(one.destination, owner.metadata.namespace),
  }))
  const name = [route.name, match.name].filter(Boolean).join('.') || 'default'
  const common = {
    name,
    match: routeMatch(match),
    requestHeadersToAdd: headersToAdd(route.headers?.request),
    requestHeadersToRemove: route.headers?.request?.remove ?? [],
    responseHeadersToAdd: headersToAdd(route.headers?.response),
    responseHeadersToRemove: route.headers?.response?.remove ?? [],
    typedPerFilterConfig: perFilter([
      ['envoy.filters.http.fault', route.fault && faultConfig(route.fault)],
      ['envoy.filters.http.cors', route.corsPolicy && corsConfig(route.corsPolicy)],
      ...dynamicTargetOf(inputs, targets, routeAuthority(route)),
    ]),
    ...metadataFor(inputs, firstHost(route, owner) ?? inputs.hostname, causes),
    ...(match.statPrefix ? { statPrefix: match.statPrefix } : {}),
  }
  if (route.redirect)
    return { ...common, action: { case: 'redirect', value: redirectAction(route.redirect, inputs.port) } }
  if (route.directResponse) {
    return {
      ...common,
      action: {
        case: 'directResponse',
        value: { status: route.directResponse.status, ...directResponseBody(route.directResponse) },
      },
    }
  }
  return { ...common, action: { case: 'route', value: routeAction(inputs, owner, route, match) } }
}

function routeAction(
  inputs: RouteInputs,
  owner: RoutedService,
  route: RoutedHttp,
  match: RouteMatch,
): RouteActionInit {
  const { namespace } = owner.metadata
  const all = (route.route ?? []).map(target => ({
    ...target,
    destination: full(target.destination, namespace),
  }))
  // A lone destination gets everything, whatever its weight.
  const isAlone = all.length === 1 && route.brokenWeight === undefined
  const targets = isAlone ? all.map(one => ({ ...one, weight: 100 })) : all.filter(one => one.weight)
  const pathMatch =
    match.uri?.regex !== undefined ? 'regex' : match.uri?.exact !== undefined ? 'exact' : 'prefix'
  const rewritten = rewriteFields(route, pathMatch)
  return {
    ...clusterSpecifier(inputs, targets, route.brokenWeight, routeAuthority(route)),
    ...rewritten,
    ...(inputs.headers.keepsHost && rewritten.hostRewriteSpecifier ? { appendXForwardedHost: true } : {}),
    timeout: duration(route.timeout ? durationMs(route.timeout) : 0),
    ...retryField(retryPolicy(route.retries ?? inputs.snapshot.config.defaultHttpRetryPolicy)),
    ...hashPolicies(inputs, targets),
    requestMirrorPolicies: mirrorsOf(route).map(({ destination, share }) =>
      mirrorPolicy(inputs, full(destination, namespace), share),
    ),
  }
}

function retryField(retry: ReturnType<typeof retryPolicy>): RouteActionInit {
  return retry ? { retryPolicy: retry } : {}
}

type Target = RouteDestination

/** The destination with its host's full name. */
function full(destination: Destination, namespace: string): Destination {
  return { ...destination, host: resolveHost(destination.host, namespace) }
}

/** What requests of a route get as their host, unless their destination says otherwise. */
function routeAuthority({ rewrite, headers }: RoutedHttp): string | undefined {
  return rewrite?.authority ?? hostOverride(headers?.request?.set)
}

/** What is said to filters where a destination is looked up by what each request names: of several, for the first. */
function dynamicTargetOf(
  inputs: RouteInputs,
  targets: readonly { readonly destination: Destination }[],
  authority: string | undefined,
): (readonly [name: string, config: Any])[] {
  for (const { destination } of targets) {
    const found = lookUpOf(inputs.snapshot.services, resolve(inputs, destination), destination.host)
    if (found) return [dynamicTarget(found, authority)]
  }
  return []
}

/**
 * @param brokenWeight the share of requests whose destination is not there: 500
 * @param authority what requests get as their host, where their destination does not say otherwise
 */
function clusterSpecifier(
  inputs: RouteInputs,
  targets: readonly Target[],
  brokenWeight = 0,
  authority?: string,
): RouteActionInit {
  const [only, ...others] = targets
  if (only && others.length === 0 && !only.headers && only.authority === undefined && brokenWeight === 0)
    return { clusterSpecifier: { case: 'cluster', value: clusterFor(inputs, only.destination) } }
  const clusters = targets.map(({ destination, weight, headers, authority: rewritten }) => {
    const own = rewritten ?? hostOverride(headers?.request?.set)
    return {
      name: clusterFor(inputs, destination),
      weight: weight ?? 100,
      requestHeadersToAdd: headersToAdd(headers?.request),
      requestHeadersToRemove: headers?.request?.remove ?? [],
      responseHeadersToAdd: headersToAdd(headers?.response),
      responseHeadersToRemove: headers?.response?.remove ?? [],
      typedPerFilterConfig: perFilter(dynamicTargetOf(inputs, [{ destination }], own ?? authority)),
      ...(own ? { hostRewriteSpecifier: { case: 'hostRewriteLiteral' as const, value: own } } : {}),
    }
  })
  if (brokenWeight === 0) return { clusterSpecifier: { case: 'weightedClusters', value: { clusters } } }
  return {
    clusterSpecifier: {
      case: 'weightedClusters',
      value: { clusters: [...clusters, { name: MISSING_CLUSTER, weight: brokenWeight }] },
    },
    clusterNotFoundResponseCode: NotFoundCode.INTERNAL_SERVER_ERROR,
  }
}

function resolve(
  { snapshot: { services }, port }: RouteInputs,
  destination: Destination,
): ResolvedDestination {
  return resolveDestination(services, destination, port)
}

function clusterFor(inputs: RouteInputs, destination: Destination): string {
  return clusterNameOf(resolve(inputs, destination))
}

/** What the destinations' load balancers hash, each thing once. */
function hashPolicies(
  inputs: RouteInputs,
  targets: readonly { readonly destination: Destination }[],
): RouteActionInit {
  const hashes = targets.flatMap(({ destination }) => {
    const { host, port, subset } = resolve(inputs, destination)
    const rule = inputs.ruleFor(host)
    const chosen = rule?.spec.subsets?.find(({ name }) => name === subset)
    return effectivePolicy(rule, chosen, port, inputs.snapshot.config).loadBalancer?.consistentHash ?? []
  })
  const distinct = new Map(hashes.map(hash => [JSON.stringify(hash), hash]))
  return distinct.size > 0 ? { hashPolicy: [...distinct.values()].map(hashPolicy) } : {}
}

function mirrorsOf(route: RoutedHttp): { destination: Destination; share: number }[] {
  const share = route.mirrorPercentage?.value ?? route.mirrorPercent ?? route.mirror_percent ?? 100
  const single = route.mirror ? [{ destination: route.mirror, share }] : []
  const several = (route.mirrors ?? []).map(mirror => ({
    destination: mirror.destination,
    share: mirror.percentage?.value ?? 100,
  }))
  return [...single, ...several].filter(mirror => mirror.share > 0)
}

function mirrorPolicy(
  inputs: RouteInputs,
  destination: Destination,
  share: number,
): Init<typeof RouteAction_RequestMirrorPolicySchema> {
  return {
    cluster: clusterFor(inputs, destination),
    runtimeFraction: { defaultValue: percent(share) },
    traceSampled: false,
  }
}

function firstHost(route: RoutedHttp, owner: RoutedService): string | undefined {
  const host = route.route?.[0]?.destination.host
  return host === undefined ? undefined : resolveHost(host, owner.metadata.namespace)
}

/** What telemetry labels a request with when no endpoint was reached, and what caused the route. */
function metadataFor(
  { snapshot }: RouteInputs,
  hostname: string,
  causes: readonly Provenance[],
): { metadata: RouteInit['metadata'] & object } {
  const service = findService(snapshot.services, hostname)
  const value = {
    destination_service: hostname,
    destination_service_name: service?.name ?? hostname,
    destination_service_namespace: service?.namespace ?? 'unknown',
  }
  return { metadata: { filterMetadata: { [TELEMETRY_METADATA]: value, ...provenanceMetadata(causes) } } }
}
