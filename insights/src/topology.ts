import { hasProxy } from '@seine/model'
import type { Graph, GraphEdge, GraphNode } from './api-types.ts'
import type { Attributed, Call, MeasuredSecurity } from './attribution.ts'
import { UNKNOWN } from './calls.ts'
import type { Columns } from './columns.ts'
import { addSums, figuresOf, NO_TRAFFIC } from './figures.ts'
import { groupBy, obtain } from './maps.ts'
import { type MeshIndex, nodeId } from './mesh-index.ts'

/** An edge fails when more than this share of its calls does. */
const UNHEALTHY_ERROR_RATE = 0.05

/** Who calls whom: an edge for each pair of applications between which something happened. */
export function buildGraph(
  attributed: Attributed,
  columns: Columns,
  index: MeshIndex,
  { at, windowSeconds, coveredSeconds }: Pick<Graph, 'at' | 'windowSeconds' | 'coveredSeconds'>,
): Graph {
  const edges = edgesOf(attributed, columns, index, coveredSeconds)
  const nodes = nodesOf(attributed.calls, edges, columns, index, coveredSeconds)
  return { at, windowSeconds, coveredSeconds, nodes, edges }
}

/** Figures of several calls taken together. */
export function figuresOfCalls(calls: readonly Call[], columns: Columns, seconds: number) {
  const [first, ...others] = calls
  if (!first) return NO_TRAFFIC
  const open = calls.reduce((count, call) => count + call.open, 0)
  if (others.length === 0) return figuresOf(first.sums, columns, seconds, open)
  const sums = new Float64Array(columns.size)
  for (const call of calls) addSums(sums, call.sums)
  return figuresOf(sums, columns, seconds, open)
}

function edgesOf(
  { calls, measured }: Attributed,
  columns: Columns,
  index: MeshIndex,
  seconds: number,
): GraphEdge[] {
  return [...groupBy(calls, ({ edge }) => edge)]
    .flatMap(([id, group]): GraphEdge[] => {
      const [first] = group
      const traffic = figuresOfCalls(group, columns, seconds)
      if (!first || (traffic.rate === 0 && !traffic.tcp)) return []
      const services = new Set(group.map(({ key }) => key.destinationService))
      return [
        {
          id,
          source: first.source,
          target: first.target,
          protocol: protocolOf(group, traffic.responses !== undefined),
          traffic,
          ...securityOf(measured.get(id)),
          services: [...services].filter(hostname => index.snapshot.services.has(hostname)).sort(),
        },
      ]
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** gRPC where all requests are; TCP where there are no requests. */
function protocolOf(calls: readonly Call[], hasRequests: boolean): GraphEdge['protocol'] {
  const used = new Set(calls.map(({ key }) => key.protocol))
  if (!hasRequests) return used.has('tcp') ? 'tcp' : 'http'
  return used.has('http') ? 'http' : 'grpc'
}

function securityOf(measured: MeasuredSecurity | undefined): Pick<GraphEdge, 'security' | 'mtls'> {
  if (!measured) return { security: 'unmeasured', mtls: 'unknown' }
  if (measured.plaintext === 0) return { security: 'mutual_tls', mtls: 'all' }
  return measured.mutualTls === 0 ? { security: 'none', mtls: 'none' } : { security: 'mixed', mtls: 'some' }
}

function nodesOf(
  calls: readonly Call[],
  edges: readonly GraphEdge[],
  columns: Columns,
  index: MeshIndex,
  seconds: number,
): GraphNode[] {
  const versions = new Map<string, Set<string>>()
  const services = new Map<string, Set<string>>()
  for (const workload of index.snapshot.workloads.values()) {
    if (!hasProxy(workload)) continue
    const id = nodeId(workload.namespace, workload.app)
    obtain(versions, id, newSet).add(workload.version)
    for (const { hostname } of index.servicesOf(workload)) obtain(services, id, newSet).add(hostname)
  }
  const received = groupBy(calls, ({ target }) => target)
  const incoming = groupBy(edges, ({ target }) => target)
  const ends = edges.flatMap(({ source, target }) => [source, target])
  for (const [id, into] of incoming)
    if (!versions.has(id))
      for (const edge of into) for (const host of edge.services) obtain(services, id, newSet).add(host)
  return [...new Set([...versions.keys(), ...ends])].sort().map(id => ({
    id,
    ...nameOf(id),
    kind: kindOf(id, versions.has(id), index),
    versions: [...(versions.get(id) ?? [])].sort(),
    services: [...(services.get(id) ?? [])].sort(),
    traffic: figuresOfCalls(received.get(id) ?? [], columns, seconds),
    healthy: (incoming.get(id) ?? []).every(({ traffic }) => traffic.errorRate <= UNHEALTHY_ERROR_RATE),
  }))
}

function nameOf(id: string): { readonly name: string; readonly namespace: string } {
  const slash = id.indexOf('/')
  return { name: id.slice(slash + 1), namespace: slash < 0 ? '' : id.slice(0, slash) }
}

/** A workload that is gone is one still: its calls are in the window. */
function kindOf(id: string, runs: boolean, index: MeshIndex): GraphNode['kind'] {
  if (id === UNKNOWN) return 'unknown'
  if (id.startsWith('external/')) return 'external'
  return !runs && index.isServiceNode(id) ? 'service' : 'workload'
}

function newSet(): Set<string> {
  return new Set()
}
