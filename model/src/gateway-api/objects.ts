import type {
  BackendTlsPolicy,
  GatewayClass,
  GrpcRoute,
  KubernetesGateway,
  KubernetesHttpRoute,
  KubernetesTcpRoute,
  KubernetesTlsRoute,
  ListenerSet,
  MeshResource,
  ReferenceGrant,
} from '@seine/api'
import type { ResourceRef } from '@seine/kit'

/** The group of the Gateway API's kinds. */
export const GROUP = 'gateway.networking.k8s.io'

/** The kinds of routes. */
export const ROUTE_KINDS = ['HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute'] as const
export type RouteKind = (typeof ROUTE_KINDS)[number]
/** Any route. */
export type Route = KubernetesHttpRoute | GrpcRoute | KubernetesTlsRoute | KubernetesTcpRoute
/** Any object of the Gateway API. */
export type GatewayApiObject =
  | GatewayClass
  | KubernetesGateway
  | ListenerSet
  | Route
  | ReferenceGrant
  | BackendTlsPolicy

/** Whether an object is the Gateway API's. */
export function isOfGatewayApi(resource: MeshResource): resource is GatewayApiObject {
  return resource.apiVersion.startsWith(`${GROUP}/`)
}

/** Whether an object is a route. */
export function isRoute(resource: GatewayApiObject): resource is Route {
  return (ROUTE_KINDS as readonly string[]).includes(resource.kind)
}

/** An object's input key: `HTTPRoute/default/reviews`. */
export function objectKey(kind: string, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`
}

/** The parts of an object's key. */
export function parseKey(key: string): { kind: string; namespace: string; name: string } {
  const [kind = '', namespace = '', name = ''] = key.split('/')
  return { kind, namespace, name }
}

/** `namespace/name` of an object's key. */
export function nameOfKey(key: string): string {
  return key.slice(key.indexOf('/') + 1)
}

/** An object's name in problems and provenance. */
export function refOfKey(key: string): ResourceRef {
  const { kind, namespace, name } = parseKey(key)
  return kind === 'Gateway' ? { kind, group: GROUP, namespace, name } : { kind, namespace, name }
}

/** What a reference leads to, with the defaults of its kind filled in. */
export interface Target {
  readonly group: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

/** `Secret cert of namespace a`, for messages. */
export function describeTarget({ kind, namespace, name }: Target): string {
  return `${kind} ${namespace}/${name}`
}
