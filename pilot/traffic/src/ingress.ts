import type { ConnectionPoolSettings, IstioIngressListener, ServerTlsSettings, Sidecar } from '@seine/api'
import type { Provenance } from '@seine/envoy'
import { type Protocol, portProtocol } from '@seine/model'
import { causeOf } from './egress.ts'
import type { InboundPort } from './listeners/inbound.ts'

/** Where the application itself is, where that is not the address that the client asked for. */
export type InboundEndpoint =
  | { readonly kind: 'loopback' | 'own-address'; readonly ipv6: boolean; readonly port: number }
  | { readonly kind: 'socket'; readonly path: string }

/** What a Sidecar says of a port of the workload. */
export interface IngressSettings {
  /** The address that connections go to, where it matters. */
  readonly bind: string | undefined
  /** Addresses of the workload's other families, where a socket of its own names none. */
  readonly alsoBound: readonly string[]
  /** A socket of its own; else connections are captured. */
  readonly bound: boolean
  readonly endpoint: InboundEndpoint | undefined
  readonly connectionPool: ConnectionPoolSettings | undefined
  /** TLS that is not the mesh's, ended here. */
  readonly tls: ServerTlsSettings | undefined
  readonly provenance: readonly Provenance[]
}

/** The settings of a port that a service declares, and no listener of a Sidecar. */
export function settingsOfServicePort(sidecar: Sidecar | undefined): IngressSettings {
  const connectionPool = sidecar?.spec.inboundConnectionPool
  return {
    bind: undefined,
    alsoBound: [],
    bound: false,
    endpoint: undefined,
    connectionPool,
    tls: undefined,
    provenance: sidecar && connectionPool ? [causeOf(sidecar, 'spec.inboundConnectionPool')] : [],
  }
}

/**
 * The ports of a workload: those that its Sidecar's `ingress` declares, and of those that services declare the
 * others, for what is not declared passes all the same, and is told apart better where something says what it is.
 */
export function ingressPorts(
  sidecar: Sidecar | undefined,
  ownAddresses: readonly string[],
  servicePorts: readonly InboundPort[],
): readonly InboundPort[] {
  if (!sidecar?.spec.ingress?.length) return servicePorts
  const own = sidecar.spec.ingress.map((listener, index) => {
    const { number } = listener.port
    const declared = servicePorts.find(({ port }) => port === number)
    return {
      port: number,
      servicePort: declared?.servicePort ?? number,
      protocol: protocolOf(listener),
      service: declared?.service,
      provenance: causeOf(sidecar, `spec.ingress[${index}]`),
      settings: settingsOf(sidecar, listener, ownAddresses),
    }
  })
  const others = servicePorts.filter(({ port }) => own.every(one => one.port !== port))
  return [...own, ...others].sort((a, b) => a.port - b.port)
}

/** What is read on the port. Where TLS ends here, it is what was inside. */
function protocolOf({ port, tls }: IstioIngressListener): Protocol {
  const protocol = portProtocol(undefined, port.protocol, port.number)
  if (!tls) return protocol
  return protocol === 'https' ? 'http' : 'tcp'
}

function settingsOf(
  sidecar: Sidecar,
  { bind, captureMode, defaultEndpoint, connectionPool, tls }: IstioIngressListener,
  [ownAddress, ...otherAddresses]: readonly string[],
): IngressSettings {
  const base = settingsOfServicePort(sidecar)
  const bound = captureMode === 'NONE'
  return {
    bind: bind || (bound ? ownAddress : undefined),
    alsoBound: bound && !bind ? otherAddresses : [],
    bound,
    endpoint: defaultEndpoint ? endpointOf(defaultEndpoint) : undefined,
    connectionPool: connectionPool ?? base.connectionPool,
    tls,
    provenance: connectionPool ? [] : base.provenance,
  }
}

/** `127.0.0.1:8080`, `0.0.0.0:8080` or `:8080` (the workload's own address), `unix:///path`, or `[::1]:8080`. */
function endpointOf(text: string): InboundEndpoint {
  if (text.startsWith('unix://')) return { kind: 'socket', path: text.slice('unix://'.length) }
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, colon)
  const kind = host === '127.0.0.1' || host === '[::1]' ? 'loopback' : 'own-address'
  return { kind, ipv6: host.startsWith('['), port: Number(text.slice(colon + 1)) }
}
