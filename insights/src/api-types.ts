/** The hub's HTTP API, `/api/v1`: what the dashboard and `seinectl` read. Times are ms since the epoch. */

/** Traffic over the window of a query. */
export interface TrafficFigures {
  /** Requests (or connections, for TCP) per second. */
  readonly rate: number
  /** Share of failed requests, 0 to 1. */
  readonly errorRate: number
  /** ms; absent for TCP and where nothing was called. */
  readonly p50?: number
  readonly p99?: number
}

/** An application in the graph: all versions of one canonical service. */
export interface GraphNode {
  readonly id: string
  readonly name: string
  readonly namespace: string
  readonly kind: 'workload' | 'external' | 'unknown'
  readonly versions: readonly string[]
  /** What it received. */
  readonly traffic: TrafficFigures
  readonly healthy: boolean
}

/** Calls from one application to another. */
export interface GraphEdge {
  readonly id: string
  readonly source: string
  readonly target: string
  readonly protocol: 'http' | 'grpc' | 'tcp'
  readonly traffic: TrafficFigures
  /** What the receiving side measured, never what was configured; `unmeasured` where there is no sidecar to ask. */
  readonly security: 'mutual_tls' | 'none' | 'mixed' | 'unmeasured'
}

/** `GET /graph?window=60` (seconds). */
export interface Graph {
  readonly at: number
  readonly windowSeconds: number
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
}

/** A configuration object that shapes something, with the place it stands at. */
export interface ConfigRef {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly file?: string
  readonly line?: number
  readonly yaml?: unknown
}

/** `GET /services`, one row. */
export interface ServiceSummary {
  readonly hostname: string
  readonly name: string
  readonly namespace: string
  readonly external: boolean
  readonly addresses: readonly string[]
  readonly ports: readonly { readonly name: string; readonly number: number; readonly protocol: string }[]
  readonly endpoints: number
  readonly traffic: TrafficFigures
  readonly problems: number
}

/** `GET /services/:hostname`. */
export interface ServiceDetail extends ServiceSummary {
  readonly versions: readonly {
    readonly workload: string
    readonly version: string
    readonly endpoints: number
    readonly traffic: TrafficFigures
  }[]
  readonly endpointList: readonly {
    readonly address: string
    readonly port: number
    readonly workload: string
    readonly version: string
    readonly mtls: boolean
  }[]
  readonly config: readonly ConfigRef[]
  readonly problemList: readonly ApiProblem[]
}

/** A workload's identity as its sidecar holds it. */
export interface Certificate {
  readonly identity: string
  readonly serial: string
  readonly notAfter: number
}

/** `GET /workloads`, one row: a pod or a machine. */
export interface WorkloadSummary {
  readonly name: string
  readonly pod: string
  readonly namespace: string
  readonly app: string
  readonly version: string
  readonly address: string
  readonly ready: boolean
  readonly meshed: boolean
  readonly proxy: 'SYNCED' | 'STALE' | 'NACKED' | 'NOT CONNECTED' | 'NONE'
  readonly certificate?: Certificate
  readonly traffic: TrafficFigures
}

/** `GET /workloads/:namespace/:pod`. */
export interface WorkloadDetail extends WorkloadSummary {
  readonly serviceAccount: string
  readonly labels: Readonly<Record<string, string>>
  readonly services: readonly string[]
  readonly inbound: readonly GraphEdge[]
  readonly outbound: readonly GraphEdge[]
  readonly proxyId?: string
  readonly config: readonly ConfigRef[]
}

/** One type's row in `GET /proxies`. */
export interface ApiTypeStatus {
  readonly resources: number
  readonly state: 'SYNCED' | 'STALE' | 'NACKED' | 'NOT SENT'
  readonly ackedAt?: number
  readonly nack?: { readonly at: number; readonly message: string; readonly resources: readonly string[] }
}

/** `GET /proxies`, one row. */
export interface ApiProxy {
  readonly id: string
  readonly workload: string
  readonly pod: string
  readonly namespace: string
  readonly ip: string
  readonly protocol: string
  readonly connectedAt: number
  readonly types: Readonly<Record<string, ApiTypeStatus>>
}

/** One generated resource in `GET /proxies/:id/config`. */
export interface ApiResource {
  readonly name: string
  readonly version: string
  readonly provenance: readonly (ConfigRef & { readonly path?: string })[]
  /** Envoy's proto-JSON. */
  readonly config: unknown
}

/** `GET /proxies/:id/config`. */
export interface ApiProxyConfig {
  readonly listeners: readonly ApiResource[]
  readonly routes: readonly ApiResource[]
  readonly clusters: readonly ApiResource[]
  readonly endpoints: readonly ApiResource[]
  readonly secrets: readonly ApiResource[]
}

/** `GET /problems`, one row. */
export interface ApiProblem {
  readonly severity: 'error' | 'warning' | 'info'
  readonly code: string
  readonly message: string
  readonly kind?: string
  readonly namespace?: string
  readonly name?: string
  readonly path?: string
  readonly file?: string
  readonly line?: number
  readonly column?: number
}

/** `GET /traces`, one row. Durations are ms. */
export interface TraceSummary {
  readonly id: string
  readonly root: string
  readonly operation: string
  readonly startedAt: number
  readonly durationMs: number
  readonly spans: number
  readonly services: readonly string[]
  readonly error: boolean
}

/** A span of `GET /traces/:id`, in the order of the tree. */
export interface TraceSpan {
  readonly id: string
  readonly parentId?: string
  readonly depth: number
  readonly service: string
  readonly name: string
  readonly kind: 'client' | 'server' | 'internal'
  readonly startMs: number
  readonly durationMs: number
  readonly error: boolean
  readonly attributes: Readonly<Record<string, string>>
}

/** `GET /traces/:id`. */
export interface Trace extends TraceSummary {
  readonly spanList: readonly TraceSpan[]
}

/** `GET /timeseries?service=<hostname>|workload=<ns>/<name>`: a point for each scrape. */
export interface TimeSeries {
  readonly points: readonly ({ readonly at: number } & TrafficFigures)[]
}

/** `GET /version`. */
export interface VersionInfo {
  readonly version: string
  readonly envoy: string
  readonly trustDomain: string
  readonly configFolders: readonly string[]
  readonly startedAt: number
  readonly scrapeErrors: readonly { readonly pod: string; readonly message: string }[]
}
