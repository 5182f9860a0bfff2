import type { Graph, GraphEdge, GraphNode } from '@seine/insights/api-types'
import { Link } from '@tanstack/react-router'
import {
  Background,
  BaseEdge,
  Controls,
  type Edge,
  EdgeLabelRenderer,
  type EdgeProps,
  getBezierPath,
  Handle,
  MarkerType,
  type Node,
  type NodeChange,
  type NodeProps,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
} from '@xyflow/react'
import '@xyflow/react/dist/style.css'
import { Globe, X } from 'lucide-react'
import { useEffect, useMemo, useState } from 'react'
import { useGraph } from '../api.ts'
import { AllConnections } from '../components/connections.tsx'
import { Flags } from '../components/flags.tsx'
import { Badge, Figures, PageHead, Security } from '../components/parts.tsx'
import { Empty, Loaded } from '../components/states.tsx'
import { latency, percent, rate } from '../format.ts'
import { type Direction, layout, nodeWidth, type Placed } from '../layout.ts'

const WINDOWS = [30, 60, 300, 900] as const

/** The live graph of who calls whom. */
export function GraphPage() {
  const [seconds, setSeconds] = useState<number>(60)
  const query = useGraph(seconds)
  const encrypted = query.data?.edges.filter(edge => edge.security === 'mutual_tls').length ?? 0
  const measured = query.data?.edges.filter(edge => edge.security !== 'unmeasured').length ?? 0
  return (
    <div className="graph-page">
      <PageHead
        title="Service graph"
        sub={
          query.data
            ? `${query.data.nodes.length} applications, ${query.data.edges.length} connections, ${encrypted} of ${measured} measured connections by mutual TLS`
            : 'Who calls whom, as the sidecars measured it'
        }
      >
        <label className="select">
          <span className="sr-only">Window</span>
          <select value={seconds} onChange={event => setSeconds(Number(event.target.value))}>
            {WINDOWS.map(window => (
              <option key={window} value={window}>
                last {window < 60 ? `${window} s` : `${window / 60} min`}
              </option>
            ))}
          </select>
        </label>
      </PageHead>
      <Loaded query={query}>
        {graph =>
          graph.nodes.length === 0 ? (
            <Empty title="Nothing runs in the mesh yet">
              Applications appear here when their sidecars connect. Start one, or check that its namespace has
              the label istio-injection=enabled.
            </Empty>
          ) : (
            <>
              <ReactFlowProvider>
                <GraphView graph={graph} />
              </ReactFlowProvider>
              <div className="narrow-only">
                <AllConnections edges={graph.edges} />
              </div>
            </>
          )
        }
      </Loaded>
    </div>
  )
}

type AppNode = Node<{ node: GraphNode; direction: Direction }, 'app'>
type CallEdge = Edge<{ edge: GraphEdge }, 'call'>

const NARROW = '(max-width: 700px)'

function useDirection(): Direction {
  const [direction, setDirection] = useState<Direction>(matchMedia(NARROW).matches ? 'DOWN' : 'RIGHT')
  useEffect(() => {
    const query = matchMedia(NARROW)
    const change = () => setDirection(query.matches ? 'DOWN' : 'RIGHT')
    query.addEventListener('change', change)
    return () => query.removeEventListener('change', change)
  }, [])
  return direction
}

function GraphView({ graph }: { graph: Graph }) {
  const [placed, setPlaced] = useState<Placed>()
  const [chosen, setChosen] = useState<string>()
  const direction = useDirection()
  const flow = useReactFlow()
  const shape = `${graph.nodes.map(node => node.id).join()}|${graph.edges.map(edge => `${edge.source}>${edge.target}`).join()}`
  // The layout depends on which nodes and edges there are, not on their figures: these change at every refresh.
  // biome-ignore lint/correctness/useExhaustiveDependencies: shape stands for the graph here
  useEffect(() => {
    let current = true
    void layout(graph, direction).then(result => {
      if (!current) return
      setPlaced(result)
      requestAnimationFrame(() => void flow.fitView(FIT))
    })
    return () => {
      current = false
    }
  }, [shape, direction])
  const nodes = useMemo(
    (): AppNode[] =>
      graph.nodes.flatMap(node => {
        const at = placed?.get(node.id)
        return at
          ? [
              {
                id: node.id,
                type: 'app',
                position: at,
                data: { node, selected: node.id === chosen, direction },
              },
            ]
          : []
      }),
    [graph, placed, chosen, direction],
  )
  const edges = useMemo(
    (): CallEdge[] =>
      graph.edges.map(edge => ({
        id: edge.id,
        source: edge.source,
        target: edge.target,
        type: 'call',
        data: { edge },
        markerEnd: {
          type: MarkerType.ArrowClosed,
          width: 14,
          height: 14,
          markerUnits: 'userSpaceOnUse',
          color: edge.traffic.errorRate > 0.05 ? 'var(--bad)' : 'var(--edge)',
        },
      })),
    [graph],
  )
  const selected = graph.nodes.find(node => node.id === chosen)
  return (
    <div className="graph-body">
      <div className="graph-canvas" data-testid="graph">
        <ReactFlow
          nodes={nodes}
          edges={edges}
          nodeTypes={NODE_TYPES}
          edgeTypes={EDGE_TYPES}
          nodesConnectable={false}
          nodesDraggable={false}
          onNodesChange={changes => setChosen(current => chosenAfter(changes, current))}
          edgesFocusable={false}
          proOptions={{ hideAttribution: true }}
          fitView
          fitViewOptions={FIT}
          minZoom={0.2}
        >
          <Background gap={22} size={1.4} color="var(--dots)" />
          <Controls showInteractive={false} position="bottom-left" />
        </ReactFlow>
      </div>
      {selected ? <Panel node={selected} graph={graph} onClose={() => setChosen(undefined)} /> : null}
    </div>
  )
}

/** Which node is chosen once a click or a key has selected or deselected some. */
function chosenAfter(
  changes: readonly NodeChange<AppNode>[],
  current: string | undefined,
): string | undefined {
  let chosen = current
  for (const change of changes) {
    if (change.type !== 'select') continue
    if (change.selected) chosen = change.id
    else if (chosen === change.id) chosen = undefined
  }
  return chosen
}

function AppNodeView({ selected, data: { node, direction } }: NodeProps<AppNode>) {
  const down = direction === 'DOWN'
  const state = !node.healthy ? 'bad' : node.traffic.rate > 0 || node.kind !== 'workload' ? 'good' : 'idle'
  return (
    <div
      className={`app-node ${state} ${selected ? 'selected' : ''}`}
      data-testid={`graph-node-${node.name}`}
      style={{ width: nodeWidth(node) }}
    >
      <Handle type="target" position={down ? Position.Top : Position.Left} isConnectable={false} />
      <div className="app-name">
        <span className="dot" aria-hidden />
        {node.name}
        {node.kind === 'external' ? <Globe size={12} aria-label="external" /> : null}
      </div>
      <div className="app-meta">
        {node.versions.length > 0 ? node.versions.join(' · ') : node.kind}
        {node.traffic.rate > 0 ? ` · ${rate(node.traffic.rate)}` : ''}
      </div>
      <Handle type="source" position={down ? Position.Bottom : Position.Right} isConnectable={false} />
    </div>
  )
}

function CallEdgeView(props: EdgeProps<CallEdge>) {
  const [path] = getBezierPath(props)
  const { x, y } = labelPoint(props)
  const edge = props.data?.edge
  if (!edge) return null
  const failing = edge.traffic.errorRate > 0.05
  const width = 1.25 + Math.min(2.5, Math.log10(1 + edge.traffic.rate) * 1.2)
  return (
    <>
      <BaseEdge
        path={path}
        {...(props.markerEnd ? { markerEnd: props.markerEnd } : {})}
        style={{ stroke: failing ? 'var(--bad)' : 'var(--edge)', strokeWidth: width }}
      />
      <EdgeLabelRenderer>
        <div
          className={`edge-label ${failing ? 'failing' : ''}`}
          style={{ transform: `translate(-50%,-50%) translate(${x}px,${y}px)` }}
          data-testid={`graph-edge-${edge.source.split('/')[1] ?? edge.source}-${edge.target.split('/')[1] ?? edge.target}`}
        >
          <Security security={edge.security} label={false} />
          <span>{rate(edge.traffic.rate)}</span>
          {edge.traffic.errorRate > 0 ? (
            <span className="bad-text">{percent(edge.traffic.errorRate)}</span>
          ) : null}
          {edge.traffic.p50 === undefined ? (
            <span className="quiet">{edge.protocol}</span>
          ) : (
            <span className="quiet">
              {latency(edge.traffic.p50)} · {latency(edge.traffic.p99)}
            </span>
          )}
        </div>
      </EdgeLabelRenderer>
    </>
  )
}

/** A point on the curve close to where it ends: edges that leave one node have drawn apart there. */
function labelPoint({ sourceX, sourceY, targetX, targetY, sourcePosition }: EdgeProps): {
  x: number
  y: number
} {
  const t = 0.6
  const at = (from: number, near: number, far: number, to: number) =>
    (1 - t) ** 3 * from + 3 * (1 - t) ** 2 * t * near + 3 * (1 - t) * t ** 2 * far + t ** 3 * to
  const [middleX, middleY] = [(sourceX + targetX) / 2, (sourceY + targetY) / 2]
  return sourcePosition === Position.Bottom
    ? { x: at(sourceX, sourceX, targetX, targetX), y: at(sourceY, middleY, middleY, targetY) }
    : { x: at(sourceX, middleX, middleX, targetX), y: at(sourceY, sourceY, targetY, targetY) }
}

const FIT = { padding: 0.1, maxZoom: 1.3 } as const
const NODE_TYPES = { app: AppNodeView }
const EDGE_TYPES = { call: CallEdgeView }

function Panel({ node, graph, onClose }: { node: GraphNode; graph: Graph; onClose: () => void }) {
  const calledBy = graph.edges.filter(edge => edge.target === node.id)
  const calls = graph.edges.filter(edge => edge.source === node.id)
  return (
    <aside className="panel" data-testid="graph-panel" aria-label={`About ${node.name}`}>
      <header>
        <div>
          <h2>{node.name}</h2>
          <span className="quiet">{node.namespace || node.kind}</span>
        </div>
        <button type="button" className="icon-button" onClick={onClose} aria-label="Close">
          <X size={16} />
        </button>
      </header>
      <Figures traffic={node.traffic} />
      <Flags flags={node.traffic.flags} />
      {node.kind === 'workload' ? (
        <p className="versions">
          {node.versions.map(version => (
            <Badge key={version} tone="muted">
              {version}
            </Badge>
          ))}
        </p>
      ) : null}
      <Calls title="Called by" edges={calledBy} end="source" />
      <Calls title="Calls" edges={calls} end="target" />
      {node.services.map(hostname => (
        <Link key={hostname} className="button" to="/services/$hostname" params={{ hostname }}>
          Open service{node.services.length > 1 ? ` ${hostname}` : ''}
        </Link>
      ))}
    </aside>
  )
}

function Calls({
  title,
  edges,
  end,
}: {
  title: string
  edges: readonly GraphEdge[]
  end: 'source' | 'target'
}) {
  if (edges.length === 0) return null
  return (
    <div className="calls">
      <h3>{title}</h3>
      <ul>
        {edges.map(edge => (
          <li key={edge.id}>
            <span>{edge[end].split('/')[1] ?? edge[end]}</span>
            <span className="num">{rate(edge.traffic.rate)}</span>
            <span className={edge.traffic.errorRate > 0.05 ? 'num bad-text' : 'num quiet'}>
              {percent(edge.traffic.errorRate)}
            </span>
            <Security security={edge.security} />
          </li>
        ))}
      </ul>
    </div>
  )
}
