import type { MeshSnapshot } from '@seine/model'
import type { Graph, GraphEdge, GraphNode } from './api-types.ts'
import { figuresOf, NO_TRAFFIC } from './figures.ts'
import type { CallKey, Interval, TrafficStore } from './traffic-store.ts'

/** An edge fails when more than this share of its calls does. */
const UNHEALTHY_ERROR_RATE = 0.05

interface Call {
  readonly key: CallKey
  readonly intervals: readonly Interval[]
}

/**
 * The graph of who calls whom. Each pair of sidecars reports a call twice; the receiving side's report is
 * taken where there is one, for it knows what security the connection really had, and the caller's else.
 */
export function buildGraph(
  store: TrafficStore,
  snapshot: MeshSnapshot,
  now: number,
  windowSeconds: number,
): Graph {
  const calls = store.query(now - windowSeconds * 1000, () => true)
  const edges = edgesOf(calls, snapshot, windowSeconds)
  return { at: now, windowSeconds, nodes: nodesOf(edges, calls, snapshot, windowSeconds), edges }
}

/** `namespace/app`, the id of an application's node. */
export function nodeId(namespace: string, app: string): string {
  return `${namespace}/${app}`
}

function edgesOf(calls: readonly Call[], snapshot: MeshSnapshot, seconds: number): GraphEdge[] {
  const groups = new Map<string, Call[]>()
  for (const call of calls) {
    const id = `${sourceOf(call.key)}→${targetOf(call.key, snapshot)}`
    groups.set(id, [...(groups.get(id) ?? []), call])
  }
  const edges: GraphEdge[] = []
  for (const [id, group] of groups) {
    const received = group.filter(({ key }) => key.reporter === 'destination')
    const taken = received.length > 0 ? received : group
    const first = taken[0]
    if (!first) continue
    const traffic = figuresOf(
      taken.flatMap(({ intervals }) => intervals),
      seconds,
    )
    const security = securityOf(received)
    edges.push({
      id,
      source: sourceOf(first.key),
      target: targetOf(first.key, snapshot),
      protocol: first.key.protocol,
      traffic,
      security,
    })
  }
  return edges.filter(({ traffic }) => traffic.rate > 0).sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** Only calls that really happened in the window count. */
function securityOf(received: readonly Call[]): GraphEdge['security'] {
  const seen = new Set(
    received
      .filter(({ intervals }) => intervals.some(({ requests }) => requests > 0))
      .map(({ key }) => key.security),
  )
  if (seen.size === 0) return 'unmeasured'
  if (seen.size > 1) return 'mixed'
  return seen.has('mutual_tls') ? 'mutual_tls' : 'none'
}

function sourceOf(key: CallKey): string {
  return key.sourceApp === 'unknown' ? 'unknown' : nodeId(key.sourceNamespace, key.sourceApp)
}

/** Where no sidecar answers, the service that was called is the node. */
function targetOf(key: CallKey, snapshot: MeshSnapshot): string {
  if (key.destinationApp !== 'unknown') return nodeId(key.destinationNamespace, key.destinationApp)
  const service = snapshot.services.get(key.destinationService)
  return service
    ? nodeId(service.external ? 'external' : service.namespace, service.name)
    : `external/${key.destinationService}`
}

function nodesOf(
  edges: readonly GraphEdge[],
  calls: readonly Call[],
  snapshot: MeshSnapshot,
  seconds: number,
): GraphNode[] {
  const versions = new Map<string, Set<string>>()
  for (const { namespace, app, version, meshed } of snapshot.workloads.values()) {
    if (!meshed) continue
    const id = nodeId(namespace, app)
    versions.set(id, (versions.get(id) ?? new Set()).add(version))
  }
  const ids = new Set([...versions.keys(), ...edges.flatMap(({ source, target }) => [source, target])])
  return [...ids].sort().map(id => {
    const slash = id.indexOf('/')
    const namespace = slash < 0 ? '' : id.slice(0, slash)
    const received = calls.filter(({ key }) => targetOf(key, snapshot) === id)
    const own = received.filter(({ key }) => key.reporter === 'destination')
    const traffic =
      received.length === 0
        ? NO_TRAFFIC
        : figuresOf(
            (own.length > 0 ? own : received).flatMap(({ intervals }) => intervals),
            seconds,
          )
    const incoming = edges.filter(({ target }) => target === id)
    return {
      id,
      name: slash < 0 ? id : id.slice(slash + 1),
      namespace,
      kind: id === 'unknown' ? 'unknown' : namespace === 'external' ? 'external' : 'workload',
      versions: [...(versions.get(id) ?? [])].sort(),
      traffic,
      healthy: incoming.every(edge => edge.traffic.errorRate <= UNHEALTHY_ERROR_RATE),
    }
  })
}
