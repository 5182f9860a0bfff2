import type { CallFigures, Graph, GraphEdge, TimeSeries, TrafficFigures } from './api-types.ts'
import { type Attributed, attribute, type Call, endsOf } from './attribution.ts'
import type { CallKey } from './calls.ts'
import { addSums, figuresOf, NO_TRAFFIC } from './figures.ts'
import { groupBy } from './maps.ts'
import type { MeshIndex } from './mesh-index.ts'
import { buildGraph, figuresOfCalls } from './topology.ts'
import { KEEP_MS, type Range, type TrafficStore } from './traffic-store.ts'

/** The last minute is what lists show. */
const LIST_WINDOW_S = 60
/** How many windows are kept ready at once. */
const MAX_WINDOWS = 8
/** How many time series are kept ready at once. */
const MAX_SERIES = 100

/** What a time series is of: calls to a service, to a workload, that it made or got, or along an edge of the graph. */
export type SeriesQuery =
  | { readonly service: string }
  | { readonly workload: string }
  | { readonly party: string }
  | { readonly from: string | undefined; readonly to: string | undefined }

/**
 * The traffic of the mesh as the API shows it. What is made from a round of scrapes is kept until the next one, or
 * until the mesh changes: readers share it.
 */
export class TrafficViews {
  readonly #store: TrafficStore
  readonly #windows = new Map<string, TrafficView>()
  readonly #series = new Map<string, TimeSeries>()
  #index: MeshIndex | undefined
  #version = -1

  constructor(store: TrafficStore) {
    this.#store = store
  }

  /** The traffic of the last `seconds` before `now`. */
  window(index: MeshIndex, now: number, seconds: number = LIST_WINDOW_S): TrafficView {
    this.#renew(index)
    const range = this.#store.range(now, seconds * 1000)
    return cached(this.#windows, `${range.from}-${range.to} ${seconds}`, MAX_WINDOWS, () =>
      TrafficView.of(this.#store, range, index, now, seconds),
    )
  }

  /** A point for each round of the last quarter of an hour. */
  timeSeries(index: MeshIndex, now: number, query: SeriesQuery): TimeSeries {
    this.#renew(index)
    const range = this.#store.range(now, KEEP_MS)
    return cached(this.#series, `${range.from} ${JSON.stringify(query)}`, MAX_SERIES, () => {
      const { weights } = this.window(index, now, KEEP_MS / 1000).attributed
      const isWanted = matcher(query, index)
      const wanted = [...weights].filter(([series]) => {
        const key = this.#store.keyAt(series)
        return key !== undefined && isWanted(key)
      })
      return timeSeries(this.#store, range, new Map(wanted))
    })
  }

  /** The calls that some workloads, `namespace/name`, made and got, in the rounds that began at a time or later. */
  calls(index: MeshIndex, now: number, parties: readonly string[], since: number): CallFigures {
    this.#renew(index)
    const range = this.#store.range(now, KEEP_MS)
    const { weights } = this.window(index, now, KEEP_MS / 1000).attributed
    const wanted = [...weights].filter(([series]) => {
      const key = this.#store.keyAt(series)
      return key !== undefined && isOfSome(key, parties)
    })
    const sums = new Float64Array(this.#store.columns.size)
    let seconds = 0
    for (const round of this.#store.timeline(range, new Map(wanted))) {
      if (round.at - round.seconds * 1000 < since) continue
      addSums(sums, round.sums)
      seconds += round.seconds
    }
    const { rate, errorRate, p50, p90, p99 } = figuresOf(sums, this.#store.columns, seconds)
    const calls = rate * seconds
    return {
      calls,
      failed: calls * errorRate,
      seconds,
      ...(p50 === undefined ? {} : { p50 }),
      ...(p90 === undefined ? {} : { p90 }),
      ...(p99 === undefined ? {} : { p99 }),
    }
  }

  #renew(index: MeshIndex): void {
    if (this.#index === index && this.#version === this.#store.version) return
    this.#index = index
    this.#version = this.#store.version
    this.#windows.clear()
    this.#series.clear()
  }
}

/** The traffic of one window of time, each call counted once. */
export class TrafficView {
  readonly graph: Graph
  readonly attributed: Attributed
  readonly #store: TrafficStore
  readonly #seconds: number
  #json: string | undefined
  readonly #byService: ReadonlyMap<string, readonly Call[]>
  readonly #byWorkload: ReadonlyMap<string, readonly Call[]>
  readonly #inbound: ReadonlyMap<string, readonly GraphEdge[]>
  readonly #outbound: ReadonlyMap<string, readonly GraphEdge[]>

  private constructor(store: TrafficStore, attributed: Attributed, graph: Graph) {
    this.#store = store
    this.attributed = attributed
    this.graph = graph
    this.#seconds = graph.coveredSeconds
    this.#byService = groupBy(attributed.calls, ({ key }) => key.destinationService)
    this.#byWorkload = groupBy(attributed.calls, ({ key }) => workloadKey(key))
    this.#inbound = groupBy(graph.edges, ({ target }) => target)
    this.#outbound = groupBy(graph.edges, ({ source }) => source)
  }

  static of(
    store: TrafficStore,
    range: Range,
    index: MeshIndex,
    at: number,
    windowSeconds: number,
  ): TrafficView {
    const attributed = attribute(store, range, index)
    const times = { at, windowSeconds, coveredSeconds: range.seconds }
    return new TrafficView(store, attributed, buildGraph(attributed, store.columns, index, times))
  }

  /** The graph as JSON, written once for all that ask. */
  get graphJson(): string {
    this.#json ??= JSON.stringify(this.graph)
    return this.#json
  }

  /** Calls to a service, of one workload of it if one is named. */
  ofService(
    hostname: string,
    workload?: { readonly namespace: string; readonly name: string },
  ): TrafficFigures {
    const calls = this.#byService.get(hostname) ?? []
    return this.#figures(
      workload === undefined
        ? calls
        : calls.filter(
            ({ key }) =>
              key.destinationNamespace === workload.namespace && key.destinationWorkload === workload.name,
          ),
    )
  }

  /** Calls that came as far as a workload. */
  ofWorkload(namespace: string, name: string): TrafficFigures {
    return this.#figures(this.#byWorkload.get(`${namespace}/${name}`) ?? [])
  }

  /** Edges of the graph into a node. */
  inbound(node: string): readonly GraphEdge[] {
    return this.#inbound.get(node) ?? []
  }

  /** Edges of the graph out of a node. */
  outbound(node: string): readonly GraphEdge[] {
    return this.#outbound.get(node) ?? []
  }

  #figures(calls: readonly Call[]): TrafficFigures {
    return calls.length === 0 ? NO_TRAFFIC : figuresOfCalls(calls, this.#store.columns, this.#seconds)
  }
}

function timeSeries(store: TrafficStore, range: Range, weights: ReadonlyMap<number, number>): TimeSeries {
  if (weights.size === 0) return { points: [] }
  return {
    points: store
      .timeline(range, weights)
      .map(({ at, seconds, sums }) => ({ at, seconds, ...figuresOf(sums, store.columns, seconds) })),
  }
}

function matcher(query: SeriesQuery, index: MeshIndex): (key: CallKey) => boolean {
  if ('service' in query) return key => key.destinationService === query.service
  if ('workload' in query) return key => workloadKey(key) === query.workload
  if ('party' in query) return key => isOfSome(key, [query.party])
  const { from, to } = query
  return key => {
    const { source, target } = endsOf(key, index)
    return (from === undefined || from === source) && (to === undefined || to === target)
  }
}

/** Whether one of some workloads made or got a call. */
function isOfSome(key: CallKey, parties: readonly string[]): boolean {
  return (
    parties.includes(workloadKey(key)) || parties.includes(`${key.sourceNamespace}/${key.sourceWorkload}`)
  )
}

function workloadKey({ destinationNamespace, destinationWorkload }: CallKey): string {
  return `${destinationNamespace}/${destinationWorkload}`
}

/** The value of a key, made when it is first asked for; the oldest goes when there are too many. */
function cached<V>(values: Map<string, V>, key: string, limit: number, make: () => V): V {
  const known = values.get(key)
  if (known !== undefined) return known
  const value = make()
  const [oldest] = values.keys()
  if (values.size >= limit && oldest !== undefined) values.delete(oldest)
  values.set(key, value)
  return value
}
