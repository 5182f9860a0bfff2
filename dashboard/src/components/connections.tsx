import type { GraphEdge } from '@seine/insights/api-types'
import { Security } from './parts.tsx'
import { type Column, Table } from './table.tsx'
import { trafficColumns } from './traffic-columns.tsx'

const security = (label: boolean): Column<GraphEdge> => ({
  title: 'Security',
  cell: edge => <Security security={edge.security} label={label} />,
})

const ALL: readonly Column<GraphEdge>[] = [
  { title: 'Connection', cell: ({ source, target }) => `${nameOf(source)} → ${nameOf(target)}` },
  security(false),
  ...trafficColumns<GraphEdge>(['rate', 'errors']),
]

/** All connections of a graph, for where the picture is too small to read. */
export function AllConnections({ edges }: { edges: readonly GraphEdge[] }) {
  return <Table caption="Connections" rows={edges} columns={ALL} rowKey={edge => edge.id} />
}

interface Ended {
  readonly edge: GraphEdge
  readonly direction: 'from' | 'to'
  readonly traffic: GraphEdge['traffic']
}

const ENDED: readonly Column<Ended>[] = [
  { title: 'Direction', cell: ({ direction }) => <span className="quiet">{direction}</span> },
  {
    title: 'Application',
    cell: ({ edge, direction }) => (direction === 'from' ? edge.source : edge.target),
  },
  { title: 'Protocol', wide: true, cell: ({ edge }) => edge.protocol },
  { title: 'Security', cell: ({ edge }) => <Security security={edge.security} /> },
  ...trafficColumns<Ended>(['rate', 'errors', 'p50', 'p99']),
]

/** Who calls, and who is called, with what was measured of each. */
export function Connections({
  inbound,
  outbound = [],
}: {
  inbound: readonly GraphEdge[]
  outbound?: readonly GraphEdge[]
}) {
  const ended = (direction: Ended['direction']) => (edge: GraphEdge) => ({
    edge,
    direction,
    traffic: edge.traffic,
  })
  const rows = [...inbound.map(ended('from')), ...outbound.map(ended('to'))]
  if (rows.length === 0) return <p className="quiet">No calls in the last minute.</p>
  return (
    <Table
      caption="Connections"
      rows={rows}
      columns={ENDED}
      rowKey={({ edge, direction }) => `${direction}${edge.id}`}
    />
  )
}

function nameOf(id: string): string {
  return id.split('/')[1] ?? id
}
