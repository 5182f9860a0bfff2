const ENVOY = 'type.googleapis.com/envoy'

/** The xDS resource types that Seine serves, by their type URLs. */
export const TypeUrl = {
  cluster: `${ENVOY}.config.cluster.v3.Cluster`,
  endpoint: `${ENVOY}.config.endpoint.v3.ClusterLoadAssignment`,
  listener: `${ENVOY}.config.listener.v3.Listener`,
  route: `${ENVOY}.config.route.v3.RouteConfiguration`,
  virtualHost: `${ENVOY}.config.route.v3.VirtualHost`,
  extension: `${ENVOY}.config.core.v3.TypedExtensionConfig`,
  secret: `${ENVOY}.extensions.transport_sockets.tls.v3.Secret`,
} as const

/** One of the type URLs in {@link TypeUrl}. */
export type TypeUrl = (typeof TypeUrl)[keyof typeof TypeUrl]

/** CDS, EDS, LDS, RDS, VHDS, ECDS or SDS, as people call them. */
export const shortTypeName: Readonly<Record<TypeUrl, string>> = {
  [TypeUrl.cluster]: 'CDS',
  [TypeUrl.endpoint]: 'EDS',
  [TypeUrl.listener]: 'LDS',
  [TypeUrl.route]: 'RDS',
  [TypeUrl.virtualHost]: 'VHDS',
  [TypeUrl.extension]: 'ECDS',
  [TypeUrl.secret]: 'SDS',
}

/**
 * The order in which a change goes out so that nothing refers to what is not there yet: clusters before
 * their endpoints, both before listeners, and routes last. Removals go the other way.
 */
export const pushOrder: readonly TypeUrl[] = [
  TypeUrl.cluster,
  TypeUrl.endpoint,
  TypeUrl.listener,
  TypeUrl.route,
  TypeUrl.virtualHost,
  TypeUrl.secret,
]
