import { isHttp, type MeshService } from '@seine/model'
import type { Egress } from './egress.ts'

/** A host's place in a table of requests. */
export interface TablePlace {
  /** The table's port. */
  readonly table: number
  /** The port of the service that requests are for. */
  readonly port: number
  /** Whether the table is that of an HTTP proxy, whose requests say which port they are for. */
  readonly proxied: boolean
}

/** The place of a host in the table of its own port. */
export function ownPlace(port: number): TablePlace {
  return { table: port, port, proxied: false }
}

/** Where requests to a service that clients see are routed: by the tables of its ports, and of HTTP proxies. */
export function placesOf(service: MeshService, egress: Egress): TablePlace[] {
  const own = egress
    .portsOf(service)
    .flatMap(({ port, protocol }) => (isHttp(protocol) ? ownPlace(port.number) : []))
  const proxied = egress.proxies.flatMap(proxy =>
    proxy.port !== undefined && proxy.imports(service)
      ? service.ports.flatMap(({ number, protocol }) =>
          isHttp(protocol) ? { table: proxy.port ?? 0, port: number, proxied: true } : [],
        )
      : [],
  )
  return [...own, ...proxied]
}

/** By what a table knows a host at a place: its name, and its port where the table has several. */
export function keyAt({ port, proxied }: TablePlace, host: string): string {
  return proxied ? `${host}|${port}` : host
}

/** The name of the virtual host of a host at a place, by which it is asked for. */
export function virtualHostAt(place: TablePlace, host: string): string {
  return `${place.table}/${keyAt(place, host)}`
}

/** The host of a virtual host's name. */
export function hostOfVirtualHost(name: string): string {
  return name.slice(name.indexOf('/') + 1).replace(/\|\d+$/, '')
}

/** Istio's name of a virtual host: `host:port`. */
export function istioName(name: string): string {
  const slash = name.indexOf('/')
  const [host = '', port = name.slice(0, slash)] = name.slice(slash + 1).split('|')
  return `${host}:${port}`
}
