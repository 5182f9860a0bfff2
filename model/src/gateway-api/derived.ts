import type {
  Gateway,
  GatewayServer,
  HttpMatchRequest,
  HttpRedirect,
  HttpRoute,
  HttpRouteDestination,
  TcpRoute,
  TlsRoute,
  VirtualService,
} from '@seine/api'
import type { ResourceRef } from '@seine/kit'

/** The object and the field that something was derived from. */
export interface Cause extends ResourceRef {
  readonly path: string
}

/**
 * A match as routes hold it in the mesh: a VirtualService's, and what only the Gateway API has words for. What
 * people write is one of these as it is.
 */
export interface RouteMatch extends HttpMatchRequest {
  /** Whole parts of a path: `/a` takes in `/a` and `/a/b`, but not `/ab`. It stands for `uri`. */
  readonly pathPrefix?: string | undefined
  /** What the match was derived from. */
  readonly cause?: Cause | undefined
}

/** A regular expression over a path, and what its match is replaced by. */
export interface PathSubstitution {
  readonly match: string
  readonly rewrite: string
}

/** A redirect as routes hold it in the mesh. */
export type RouteRedirect = HttpRedirect & { readonly pathSubstitution?: PathSubstitution | undefined }

/** A destination as routes hold it in the mesh. */
export interface RouteDestination extends HttpRouteDestination {
  /** The host that requests get on their way there. */
  readonly authority?: string | undefined
}

/** A route of requests as the mesh holds it. */
export interface RoutedHttp extends HttpRoute {
  match?: RouteMatch[] | undefined
  route?: RouteDestination[] | undefined
  redirect?: RouteRedirect | undefined
  /** The share of requests, beside the destinations' weights, that has nowhere to go and is answered with 500. */
  readonly brokenWeight?: number | undefined
  /** What the route was derived from. */
  readonly cause?: Cause | undefined
  /** The route that delegates to this one. */
  readonly via?: Cause | undefined
}

/** A route of connections as the mesh holds it; the share without a destination is closed. */
export type RoutedTcp = TcpRoute & { readonly brokenWeight?: number; readonly cause?: Cause }
/** A route of TLS connections as the mesh holds it; the share without a destination is closed. */
export type RoutedTls = TlsRoute & { readonly brokenWeight?: number; readonly cause?: Cause }

/**
 * Routes of a host as the mesh holds them: a VirtualService as people write it, or what was derived from the Gateway
 * API's routes, which says where it comes from.
 */
export interface RoutedService extends VirtualService {
  readonly spec: Omit<VirtualService['spec'], 'http' | 'tcp' | 'tls'> & {
    http?: RoutedHttp[] | undefined
    tcp?: RoutedTcp[] | undefined
    tls?: RoutedTls[] | undefined
  }
  readonly derivation?: Derivation
}

/** Where derived routes come from, and how they stand beside others for the same host. */
export interface Derivation {
  /** The routes whose rules it holds, the one that decides first at the front. */
  readonly routes: readonly ResourceRef[]
  /** Routes of a client's own namespace come before those of a service's. */
  readonly consumer: boolean
}

/** A server of a gateway as the mesh holds it: an Istio Gateway's, or a listener of the Gateway API's. */
export interface ServedListener extends GatewayServer {
  readonly cause?: Cause | undefined
  /** Secrets with certificates, as `namespace/name`, in whatever namespace they are. */
  readonly certificates?: readonly string[] | undefined
  /** Certificates, in PEM, that those of clients are checked against. */
  readonly clientAuthorities?: string | undefined
  /** Clients may come without a valid certificate, though one is asked for. */
  readonly clientCertificateOptional?: boolean | undefined
}

/** A gateway as the mesh holds it. */
export interface ServedGateway extends Gateway {
  readonly spec: Omit<Gateway['spec'], 'servers'> & { servers: ServedListener[] }
  /** What it was derived from; it then holds for workloads of its own namespace only. */
  readonly derivedFrom?: ResourceRef
  /** The Secret, as `namespace/name`, by whose certificate its workloads are known to backends that they reach by TLS. */
  readonly clientCertificate?: string
}

/** How gateways connect to a service, from a BackendTLSPolicy. */
export interface BackendTls {
  readonly cause: Cause
  /** The port that it is for; undefined for all. */
  readonly port: number | undefined
  readonly sni: string
  /** Names of which the server's certificate must have one. */
  readonly subjectAltNames: readonly { readonly type: 'DNS' | 'URI'; readonly value: string }[]
  /** Certificates in PEM, `system` for those of the machine, or `none`: connections fail. */
  readonly authorities: string
}
