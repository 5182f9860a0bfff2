import { getJson } from './http.ts'

/** What the tests read of the hub's answers. The hub's own types are the contract; these are a reader's. */
export interface HubProxy {
  readonly id: string
  readonly workload: string
  readonly pod: string
  readonly namespace: string
  readonly connectedAt: number
  readonly types: Readonly<
    Record<
      string,
      { readonly state: string; readonly resources: number; readonly nack?: { readonly message: string } }
    >
  >
}

export interface HubWorkload {
  readonly name: string
  readonly pod: string
  readonly namespace: string
  readonly address: string
  readonly ready: boolean
  readonly meshed: boolean
  readonly proxy: string
  readonly certificate?: { readonly identity: string; readonly serial: string; readonly notAfter: number }
}

export interface HubResource {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly file?: string
  readonly line?: number
}

export interface HubProblem {
  readonly source: string
  readonly severity: string
  readonly code: string
  readonly message: string
  readonly kind?: string
  readonly namespace?: string
  readonly name?: string
  readonly path?: string
  readonly file?: string
  readonly line?: number
}

/** The status of an object of the Gateway API. */
export interface HubStatus {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly status: unknown
}

export interface HubSpan {
  readonly id: string
  readonly parentId?: string
  readonly service: string
  readonly name: string
  readonly kind: string
  readonly error: boolean
  readonly attributes: Readonly<Record<string, string>>
}

export interface HubTraceSummary {
  readonly id: string
  readonly operation: string
  readonly spans: number
  readonly services: readonly string[]
}

/** The hub's HTTP API, read from outside as the dashboard reads it. */
export class Hub {
  readonly url = 'http://127.0.0.1:15080'

  /** GETs `/api/v1<path>`, or throws what the hub said. */
  get<T>(path: string): Promise<T> {
    return getJson<T>(`${this.url}/api/v1${path}`)
  }

  proxies(): Promise<readonly HubProxy[]> {
    return this.get('/proxies')
  }

  workloads(): Promise<readonly HubWorkload[]> {
    return this.get('/workloads')
  }

  resources(): Promise<readonly HubResource[]> {
    return this.get('/resources')
  }

  problems(): Promise<readonly HubProblem[]> {
    return this.get('/problems')
  }

  statuses(): Promise<readonly HubStatus[]> {
    return this.get('/statuses')
  }

  traces(): Promise<readonly HubTraceSummary[]> {
    return this.get('/traces?limit=500')
  }

  async spans(traceId: string): Promise<readonly HubSpan[]> {
    const { spanList } = await this.get<{ spanList: readonly HubSpan[] }>(`/traces/${traceId}`)
    return spanList
  }
}
