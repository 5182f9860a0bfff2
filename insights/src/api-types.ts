/** The hub's HTTP API, `/api/v1`: what the dashboard and `seinectl` read. Times are ms since the epoch. */

/**
 * What requests came to: the class of their HTTP status, or `none` where no answer came. A gRPC status counts as the
 * HTTP status it stands for.
 */
export type ResponseClass = '1xx' | '2xx' | '3xx' | '4xx' | '5xx' | 'none'

/** TCP connections over the window of a query. */
export interface TcpFigures {
  /** New ones per second, those that reached nobody included. */
  readonly connections: number
  /** Open at the moment. */
  readonly open: number
  /** Share of connections that failed, 0 to 1. */
  readonly errorRate: number
  /** Bytes per second towards the caller. Bytes are counted when their connection ends. */
  readonly sentBytes: number
  /** Bytes per second from the caller. */
  readonly receivedBytes: number
}

/**
 * Traffic over the window of a query. Each call counts once: as its caller saw it where the caller has a sidecar, so
 * that what never arrived, timed out or was injected is seen, else as the receiving side did.
 */
export interface TrafficFigures {
  /** Requests per second; where there are none, new TCP connections per second. */
  readonly rate: number
  /** Share of failed requests (or connections), 0 to 1: 5xx, and those without an answer. */
  readonly errorRate: number
  /** ms; absent for TCP and where nothing was called. */
  readonly p50?: number
  readonly p90?: number
  readonly p99?: number
  /** Requests per second by what they came to; absent where there are none. */
  readonly responses?: Readonly<Partial<Record<ResponseClass, number>>>
  /** Requests and connections per second that Envoy put a flag on: UH, FI, UT, DC … */
  readonly flags?: Readonly<Record<string, number>>
  /** Absent where there is no TCP traffic. */
  readonly tcp?: TcpFigures
}

/** An application in the graph: all versions of one canonical service. */
export interface GraphNode {
  readonly id: string
  readonly name: string
  readonly namespace: string
  /** `service`: a service of several applications, or of none that is known, whose calls reached no workload. */
  readonly kind: 'workload' | 'service' | 'external' | 'unknown'
  readonly versions: readonly string[]
  /** Hostnames of the services that it serves. */
  readonly services: readonly string[]
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
  /** The same as one word: how many of the calls were measured to be encrypted. `unknown` where none was measured. */
  readonly mtls: 'all' | 'some' | 'none' | 'unknown'
  /** Hostnames that were called. */
  readonly services: readonly string[]
}

/** `GET /graph?window=60` (seconds). */
export interface Graph {
  /** When it was made: once for each round of scrapes. */
  readonly at: number
  readonly windowSeconds: number
  /** How much of the window there are figures of: less just after the hub's start. Rates divide by this. */
  readonly coveredSeconds: number
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
}

/** A configuration object with the place it stands at, and in details, what it says. */
export interface ConfigRef {
  readonly kind: string
  /** Set where two kinds have the same name. */
  readonly group?: string
  /** Set for a version of the object that only some proxies get so far. */
  readonly canary?: boolean
  readonly namespace: string
  readonly name: string
  readonly file?: string
  readonly line?: number
  readonly yaml?: unknown
  /** Why it shapes what was asked about; absent in lists of all resources. */
  readonly reasons?: readonly ConfigReason[]
}

/** `GET /resources`, one row. */
export interface ResourceSummary extends ConfigRef {
  readonly problems: number
  /** The worst of its problems; absent where there are none. */
  readonly worst?: ApiProblem['severity']
}

/**
 * `GET /resources/:kind/:namespace/:name`, and of kinds without namespaces `GET /resources/:kind/:name`. Of a row that
 * has a `group`, the kind is written `<kind>.<group>`.
 */
export interface ResourceDetail extends ResourceSummary {
  /** The values of a Secret are hidden. */
  readonly yaml: unknown
  readonly problemList: readonly ApiProblem[]
  /** Hostnames of the services whose calls it shapes. */
  readonly services: readonly string[]
  /** The workloads whose sidecars, or services, it shapes. */
  readonly workloads: readonly {
    readonly namespace: string
    readonly pod: string
    readonly workload: string
  }[]
}

/** One way in which a configuration object shapes something. */
export interface ConfigReason {
  readonly message: string
  /** The field, as `spec.http[0].route[1]`, and the line it stands on. */
  readonly path?: string
  readonly line?: number
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
  /** The worst of its problems; absent where there are none. */
  readonly worst?: ApiProblem['severity']
  /** The id of the node of the graph that calls to it are drawn to. */
  readonly node: string
}

/** `GET /services/:hostname`. */
export interface ServiceDetail extends ServiceSummary {
  readonly versions: readonly {
    readonly namespace: string
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
    /** Whether it can take mutual TLS. */
    readonly mtls: boolean
    /** Namespace and name of its pod or machine, where it is one that the mesh knows. */
    readonly namespace?: string
    readonly pod?: string
  }[]
  /** Edges of the graph into its node and out of it, over the last minute. */
  readonly inbound: readonly GraphEdge[]
  readonly outbound: readonly GraphEdge[]
  readonly config: readonly ConfigRef[]
  readonly problemList: readonly ApiProblem[]
}

/** A workload's identity as its sidecar holds it. */
export interface Certificate {
  readonly identity: string
  readonly serial: string
  readonly notAfter: number
  /** `overdue`: its agent should have renewed it by now. */
  readonly state: 'valid' | 'overdue' | 'expired'
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
  /** Whether it has a proxy: a sidecar or, as a gateway, its own. */
  readonly meshed: boolean
  readonly proxy: 'SYNCED' | 'STALE' | 'NACKED' | 'NOT CONNECTED' | 'NONE'
  readonly certificate?: Certificate
  /** Calls that came as far as it, over the last minute. */
  readonly traffic: TrafficFigures
  readonly problems: number
  /** The worst of its problems; absent where there are none. */
  readonly worst?: ApiProblem['severity']
  /** What its sidecar says it waits for; absent when it is ready. */
  readonly waitsFor?: string
}

/** `GET /workloads/:namespace/:pod`. */
export interface WorkloadDetail extends WorkloadSummary {
  readonly serviceAccount: string
  readonly labels: Readonly<Record<string, string>>
  readonly services: readonly string[]
  /** The id of its application's node in the graph. */
  readonly node: string
  readonly inbound: readonly GraphEdge[]
  readonly outbound: readonly GraphEdge[]
  readonly proxyId?: string
  /** When its sidecar connected to pilot, and what it has acknowledged, by type. */
  readonly connectedAt?: number
  readonly types?: Readonly<Record<string, ApiTypeStatus>>
  readonly config: readonly ConfigRef[]
  readonly problemList: readonly ApiProblem[]
}

/** One type's row in `GET /proxies`. */
export interface ApiTypeStatus {
  readonly resources: number
  readonly state: 'SYNCED' | 'STALE' | 'NACKED' | 'NOT SENT'
  readonly ackedAt?: number
  /** The version of the mesh's configuration (it grows by one with each change) that the last acknowledged response was made from. */
  readonly version?: string
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
  /** Configuration of filters that comes by itself (ECDS), which EnvoyFilters add. */
  readonly extensions: readonly ApiResource[]
  readonly secrets: readonly ApiResource[]
}

/** `GET /problems`, one row. */
export interface ApiProblem {
  /**
   * What it is about: configuration that can't be used as it is written (`configuration`) or that is probably not meant
   * so (`analysis`), or what runs.
   */
  readonly source: 'configuration' | 'analysis' | 'sidecar' | 'hub'
  readonly severity: 'error' | 'warning' | 'info'
  readonly code: string
  readonly message: string
  readonly kind?: string
  /** Of the object's kind, where two groups have one of that name. */
  readonly group?: string
  /** Set where it is about the version of the object that only some proxies get so far. */
  readonly canary?: boolean
  readonly namespace?: string
  readonly name?: string
  readonly path?: string
  readonly file?: string
  readonly line?: number
  readonly column?: number
}

/** `GET /statuses`, one row: the status of an object of the Gateway API, as its specification has it. */
export interface ApiStatus {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly status: unknown
}

/** `GET /registered`, one row: the WorkloadEntry of a workload that has registered by a WorkloadGroup, which no file holds. */
export interface ApiRegistered {
  readonly apiVersion: string
  readonly kind: 'WorkloadEntry'
  readonly metadata: Readonly<Record<string, unknown>>
  readonly spec: unknown
  readonly status?: unknown
}

/**
 * `GET /objects`, one row: an object that the mesh goes by, in the form of files. The mesh keeps the last good version of what
 * is broken, or refers to what is not there, in force. Secrets have their names and no values. A version for some proxies has its
 * annotation `seine.dev/canary`.
 */
export interface ApiObject {
  /** Where what was written last stands, or stood. */
  readonly file?: string
  readonly line?: number
  /** Pilot made it for a workload that has registered: no file holds it. */
  readonly registered?: true
  /** As it is in force; absent where no version has been good yet. */
  readonly inForce?: unknown
  /** As it was written last, where something else is in force, or nothing. */
  readonly written?: unknown
  /** Why what the files say is not what is in force; empty where it is. */
  readonly reasons: readonly string[]
}

/** `GET /traces?limit=50`, one row. Durations are ms. */
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

/** One round of scrapes in a time series. */
export interface TimePoint extends TrafficFigures {
  /** When the round was read: the figures are of the `seconds` before. */
  readonly at: number
  readonly seconds: number
}

/**
 * `GET /timeseries?service=<hostname>` | `?workload=<ns>/<name>` | `?party=<ns>/<name>`, a workload's calls whether it
 * made or got them | `?from=<node id>&to=<node id>`, of the graph, each optional: a point for each round of scrapes, oldest first; none at all where nothing was called.
 */
export interface TimeSeries {
  readonly points: readonly TimePoint[]
}

/**
 * `GET /calls?party=<ns>/<name>&party=…&since=<ms>`: what the calls that these workloads made and got came to, each counted
 * once, in the rounds of scrapes that began at `since` or later; over all that is kept without it. Percentiles are of all
 * of them together, from the buckets of `istio_request_duration_milliseconds`.
 */
export interface CallFigures {
  /** Requests; where there are none, TCP connections. */
  readonly calls: number
  /** Those that failed: 5xx, and those without an answer. */
  readonly failed: number
  /** How long the rounds were together. */
  readonly seconds: number
  /** ms; absent for TCP and where nothing was called. */
  readonly p50?: number
  readonly p90?: number
  readonly p99?: number
}

/** `GET /version`. */
export interface VersionInfo {
  readonly version: string
  readonly envoy: string
  readonly trustDomain: string
  readonly configFolders: readonly string[]
  readonly startedAt: number
  readonly scrapeErrors: readonly { readonly pod: string; readonly message: string }[]
  /** How sidecars are read: how often, when last, and how much history there is. Times in ms. */
  readonly scrape: {
    readonly intervalMs: number
    /** When the last round that was read to its end began. */
    readonly at?: number
    /** When the newest round began, which may still be under way. */
    readonly begunAt?: number
    readonly coveredMs: number
    /** Kinds of calls in the history. */
    readonly series: number
  }
}

/**
 * `GET /events`: server-sent events, whose `data` is this as JSON. Sidecars were read, the configuration
 * or its problems changed, a proxy came, went, or acknowledged or rejected something.
 */
export interface HubEvent {
  readonly type: 'scrape' | 'config' | 'proxies'
  readonly at: number
}
