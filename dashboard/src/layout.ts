import type { Graph, GraphNode } from '@seine/insights/api-types'

/** Where each node stands, px. */
export type Placed = ReadonlyMap<string, { readonly x: number; readonly y: number }>

/** Callers stand left of whom they call, or above where the screen is narrow. */
export type Direction = 'RIGHT' | 'DOWN'

const HEIGHT = 54
const LEAST_WIDTH = 168
/** What a node shows beside its name: dot, icon, padding; and the width of a letter of its name, px. */
const AROUND_NAME = 58
const LETTER = 7.4

/** How wide a node is, px: names are never cut. */
export function nodeWidth(node: Pick<GraphNode, 'name'>): number {
  return Math.max(LEAST_WIDTH, Math.round(AROUND_NAME + node.name.length * LETTER))
}

/** Places the nodes in layers. Edge labels need room: it is left between the layers, or beside the nodes. */
export async function layout(
  graph: Pick<Graph, 'nodes' | 'edges'>,
  direction: Direction = 'RIGHT',
): Promise<Placed> {
  const known = new Set(graph.nodes.map(({ id }) => id))
  // The layout engine is more than half of all the page's code: what needs no graph does not wait for it.
  const { default: ELK } = await import('elkjs/lib/elk.bundled.js')
  const result = await new ELK().layout({
    id: 'root',
    layoutOptions: {
      'elk.algorithm': 'layered',
      'elk.direction': direction,
      'elk.layered.spacing.nodeNodeBetweenLayers': direction === 'RIGHT' ? '210' : '90',
      'elk.spacing.nodeNode': direction === 'RIGHT' ? '40' : '28',
      'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
    },
    children: graph.nodes.map(node => ({ id: node.id, width: nodeWidth(node), height: HEIGHT })),
    edges: graph.edges
      .filter(({ source, target }) => known.has(source) && known.has(target))
      .map(({ id, source, target }) => ({ id, sources: [source], targets: [target] })),
  })
  return new Map((result.children ?? []).map(({ id, x = 0, y = 0 }) => [id, { x, y }]))
}
