import { type CallKey, UNKNOWN } from './calls.ts'
import type { Columns } from './columns.ts'
import { obtain } from './maps.ts'
import { type MeshIndex, nodeId } from './mesh-index.ts'
import type { Range, TrafficStore } from './traffic-store.ts'

/**
 * Both sides are read one after the other, so that what they count differs by a little. Plaintext calls of which no
 * more than this share is left when those are taken off that callers in the mesh report are all theirs.
 */
const SKEW = 0.05

/** Calls of one kind in a range of time, each counted once whoever reported it. */
export interface Call {
  readonly key: CallKey
  /** Nodes of the graph, and the id of the edge between them. */
  readonly source: string
  readonly target: string
  readonly edge: string
  /** Amounts by column. */
  readonly sums: Float64Array
  /** TCP connections that are open now. */
  readonly open: number
}

/** Calls, and how secure those of each edge were measured to be. */
export interface Attributed {
  readonly calls: readonly Call[]
  /** The share of each series that counts; series that are not in it don't. */
  readonly weights: ReadonlyMap<number, number>
  /** Edge → how many of its calls the receiving side measured to be encrypted, and how many not. */
  readonly measured: ReadonlyMap<string, MeasuredSecurity>
}

/** Numbers of calls. */
export interface MeasuredSecurity {
  readonly mutualTls: number
  readonly plaintext: number
}

interface Reported extends Call {
  readonly series: number
  readonly count: number
}

/** The nodes of the graph between which a call is drawn: where no sidecar answers, the service that was called. */
export function endsOf(key: CallKey, index: MeshIndex): { readonly source: string; readonly target: string } {
  return {
    source: isUnknown(key) ? UNKNOWN : nodeId(key.sourceNamespace, key.sourceApp),
    target:
      key.destinationApp === UNKNOWN
        ? index.nodeOfService(key.destinationService)
        : nodeId(key.destinationNamespace, key.destinationApp),
  }
}

/**
 * Sidecars on both sides report a call. The caller's report is taken where there is one, for only the caller knows
 * of calls that never arrived, of timeouts and of injected faults; the receiver's for callers without a sidecar. A
 * caller with a sidecar that calls in plaintext is unknown to the receiver: as many of the receiver's unknown
 * plaintext calls as callers report are theirs. How secure a connection was is always the receiver's word.
 */
export function attribute(store: TrafficStore, range: Range, index: MeshIndex): Attributed {
  const reported = readReports(store, range, index)
  const callers = new Set<string>()
  const plainSent = new Map<string, number>()
  const plainReceived = new Map<string, number>()
  for (const { key, target, count } of reported) {
    const { reporter, security } = key
    if (reporter === 'source') callers.add(pairOf(key, target))
    if (security !== 'none') continue
    if (reporter === 'source') add(plainSent, receiverOf(key), count)
    else if (isUnknown(key)) add(plainReceived, receiverOf(key), count)
  }
  const weightOf = ({ key, target }: Reported): number => {
    if (key.reporter === 'source') return 1
    if (!isUnknown(key)) return callers.has(pairOf(key, target)) ? 0 : 1
    if (key.security !== 'none') return 1
    const received = plainReceived.get(receiverOf(key)) ?? 0
    const left = received > 0 ? 1 - (plainSent.get(receiverOf(key)) ?? 0) / received : 0
    return left > SKEW ? left : 0
  }
  const weights = new Map<number, number>()
  const calls: Call[] = []
  const measured = new Map<string, { mutualTls: number; plaintext: number }>()
  for (const one of reported) {
    const weight = weightOf(one)
    if (weight > 0) {
      weights.set(one.series, weight)
      calls.push(weight === 1 ? one : scaled(one, weight))
    }
    if (isMeasured(one, plainReceived)) {
      const sums = obtain(measured, one.edge, () => ({ mutualTls: 0, plaintext: 0 }))
      sums[one.key.security === 'mutual_tls' ? 'mutualTls' : 'plaintext'] += one.count
    }
  }
  return { calls, weights, measured }
}

/** The receiver's word; or a caller's that it called in plaintext, where the receiver did get plaintext from someone. */
function isMeasured({ key }: Reported, plainReceived: ReadonlyMap<string, number>): boolean {
  if (key.reporter === 'destination') return key.security !== UNKNOWN
  return key.security === 'none' && (plainReceived.get(receiverOf(key)) ?? 0) > 0
}

function readReports(store: TrafficStore, range: Range, index: MeshIndex): Reported[] {
  const totals = store.totals(range)
  const connections = store.openConnections()
  const none = new Float64Array(0)
  return [...new Set([...totals.keys(), ...connections.keys()])].flatMap(series => {
    const key = store.keyAt(series)
    if (!key) return []
    const sums = totals.get(series) ?? none
    const open = connections.get(series) ?? 0
    const count = countOf(sums, store.columns) + open
    const { source, target } = endsOf(key, index)
    return [{ series, key, source, target, edge: `${source}→${target}`, sums, open, count }]
  })
}

function scaled(call: Call, weight: number): Call {
  return { ...call, sums: call.sums.map(amount => amount * weight), open: Math.round(call.open * weight) }
}

/** How many requests and new connections the amounts are about. */
function countOf(sums: Float64Array, columns: Columns): number {
  let count = 0
  for (const [number, amount] of sums.entries()) {
    if (amount === 0) continue
    const { kind } = columns.at(number)
    if (kind === 'response' || kind === 'opened' || kind === 'unconnected') count += amount
  }
  return count
}

function isUnknown({ sourceApp }: CallKey): boolean {
  return sourceApp === UNKNOWN
}

function pairOf({ sourceNamespace, sourceWorkload }: CallKey, target: string): string {
  return `${sourceNamespace}/${sourceWorkload}→${target}`
}

function receiverOf({ destinationNamespace, destinationWorkload, protocol }: CallKey): string {
  return `${destinationNamespace}/${destinationWorkload} ${protocol === 'tcp' ? 'tcp' : 'http'}`
}

function add(sums: Map<string, number>, key: string, amount: number): void {
  sums.set(key, (sums.get(key) ?? 0) + amount)
}
