import type { Sidecar } from '@seine/api'
import type { AddressFamilies } from './address-families.ts'
import type { ClientCertificate } from './gateway/client-certificate.ts'
import type { RouteHeaders } from './proxy-settings.ts'

/** What the outbound side of a proxy depends on: clients with equal keys share one scope and all its resources. */
export interface ScopeKey {
  readonly namespace: string
  /** The client's labels that some virtual service or destination rule, or the mesh's settings, ask for. */
  readonly sourceLabels: Readonly<Record<string, string>>
  /** The Sidecar that holds for the client: what it does not import is not there. */
  readonly sidecar: Sidecar | undefined
  /** Where the client is, as `region/zone/subzone`; empty where that is not known. */
  readonly locality: string
  /** Gateways connect to services as policies of the Gateway API ask. */
  readonly gateway: boolean
  /** Passes connections of other networks on to services, as a server with the TLS mode AUTO_PASSTHROUGH does. */
  readonly passesOn: boolean
  /** The certificate by which a gateway is known to such services. */
  readonly clientCertificate: ClientCertificate | undefined
  /** The addresses that the client has: what it could not reach by them is left out. */
  readonly families: AddressFamilies
  /** What its settings say of headers. */
  readonly headers: RouteHeaders
  /** The network that the client is in; empty where that is not known. */
  readonly network: string
}
