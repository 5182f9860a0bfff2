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
  readonly ports: SeinedPorts
  /** `host:port` of citadel, where it runs in another process. */
  readonly citadelAddress: string | undefined
  /** URL of pilot's HTTP port, where it runs in another process. */
  readonly pilotUrl: string | undefined
  /** URL of the hub, where it runs in another process. */
  readonly hubUrl: string | undefined
  /** The control plane's own token, where citadel runs in another process. */
  readonly tokenFile: string | undefined
  readonly dashboardFolder: string | undefined
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
