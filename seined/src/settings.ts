/** Which parts of the control plane a process runs. */
export type Component = 'pilot' | 'citadel' | 'mixer' | 'hub'

export const ALL_COMPONENTS: readonly Component[] = ['citadel', 'pilot', 'mixer', 'hub']

/** How a control-plane process runs. */
export interface SeinedSettings {
  readonly components: readonly Component[]
  /** Folders of configuration, watched. */
  readonly configFolders: readonly string[]
  /** Keys and what must outlive a restart. */
  readonly stateFolder: string
  /** The address that sidecars reach the TLS and OTLP ports at. */
  readonly bind: string
  readonly trustDomain: string
  /** The longest life of a workload's certificate, ms. */
  readonly workloadTtlMs: number
  readonly ports: SeinedPorts
  /** Where citadel runs in another process: how pilot reaches it and proves itself to it. */
  readonly citadel: RemoteCitadel | undefined
  /** URL of pilot's HTTP port, where it runs in another process: the hub reads proxies there. */
  readonly pilotUrl: string | undefined
  /** URL of the hub, where it runs in another process: mixer sends spans there. */
  readonly hubUrl: string | undefined
  readonly dashboardFolder: string | undefined
}

/** A citadel in another process. */
export interface RemoteCitadel {
  /** `host:port` of its TLS port. */
  readonly address: string
  readonly rootCertFile: string
  /** The control plane's own service account token. */
  readonly tokenFile: string
  /** The JWKS of trusted token issuers. */
  readonly issuersFile: string
}

/** Istio's ports where it has one. */
export interface SeinedPorts {
  readonly xdsPlaintext: number
  readonly tls: number
  readonly http: number
  readonly otlp: number
  readonly hub: number
}

export const DEFAULT_PORTS: SeinedPorts = {
  xdsPlaintext: 15010,
  tls: 15012,
  http: 15014,
  otlp: 4317,
  hub: 15080,
}

/** The names that the control plane's TLS certificate is good for; agents check the second. */
export const SERVER_NAMES = [
  'seined',
  'seined.seine-system.svc',
  'seined.seine-system.svc.cluster.local',
  'localhost',
] as const

export const VERSION = '0.1.0'

/** The Envoy release whose messages this control plane speaks. */
export const ENVOY_RELEASE = '1.40.0'
