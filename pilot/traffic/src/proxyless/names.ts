import { outboundClusterName } from '../names.ts'

/** What the names of listeners begin with that a gRPC server asks for, Istio's; `<address>:<port>` follows. */
export const SERVER_LISTENER_PREFIX = 'xds.istio.io/grpc/lds/inbound/'

/** A host as a client wrote it, or an address that a server listens on, and its port. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

/** Reads `<host>:<port>` or `[<IPv6 address>]:<port>`; undefined for what is neither. */
export function readHostPort(text: string): HostPort | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  return host === undefined ? undefined : { host, port: Number(port) }
}

/** A host and its port in the form in which clients ask for them. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** The name of the route table of a host's port: that of its cluster, as in Istio. */
export function routeTableName(host: string, port: number): string {
  return outboundClusterName(port, '', host)
}

/** What a name of the form `outbound|80|v1|reviews.default.svc.cluster.local` is about; undefined for others. */
export function readOutboundName(name: string): HostPort | undefined {
  const [, port, host] = /^outbound\|(\d{1,5})\|[^|]*\|([^|]+)$/.exec(name) ?? []
  return host === undefined ? undefined : { host, port: Number(port) }
}
