import type { Graph } from '@seine/insights/api-types'
import ELK from 'elkjs/lib/elk.bundled.js'

/** Where each node stands, px. */
export type Placed = ReadonlyMap<string, { readonly x: number; readonly y: number }>

const NODE = { width: 168, height: 54 } as const

const OPTIONS = {
  'elk.algorithm': 'layered',
  'elk.direction': 'RIGHT',
  'elk.layered.spacing.nodeNodeBetweenLayers': '150',
  'elk.spacing.nodeNode': '44',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
} as const

/** Places the nodes in layers, callers left of whom they call. */
export async function layout(graph: Pick<Graph, 'nodes' | 'edges'>): Promise<Placed> {
  const known = new Set(graph.nodes.map(({ id }) => id))
  const result = await new ELK().layout({
    id: 'root',
    layoutOptions: OPTIONS,
    children: graph.nodes.map(({ id }) => ({ id, ...NODE })),
    edges: graph.edges
      .filter(({ source, target }) => known.has(source) && known.has(target))
      .map(({ id, source, target }) => ({ id, sources: [source], targets: [target] })),
  })
  return new Map((result.children ?? []).map(({ id, x = 0, y = 0 }) => [id, { x, y }]))
}
