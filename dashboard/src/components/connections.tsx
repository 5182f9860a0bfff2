import type { GraphEdge } from '@seine/insights/api-types'
import { latency, percent, rate } from '../format.ts'
import { Security } from './parts.tsx'

/** All connections of a graph, for where the picture is too small to read. */
export function AllConnections({ edges }: { edges: readonly GraphEdge[] }) {
  return (
    <div className="table-wrap">
      <table>
        <thead>
          <tr>
            <th scope="col">Connection</th>
            <th scope="col">Security</th>
            <th scope="col" className="num">
              Rate
            </th>
            <th scope="col" className="num">
              Errors
            </th>
          </tr>
        </thead>
        <tbody>
          {edges.map(edge => (
            <tr key={edge.id}>
              <td>
                {edge.source.split('/')[1] ?? edge.source} → {edge.target.split('/')[1] ?? edge.target}
              </td>
              <td>
                <Security security={edge.security} label={false} />
              </td>
              <td className="num">{rate(edge.traffic.rate)}</td>
              <td className={edge.traffic.errorRate > 0.05 ? 'num bad-text' : 'num'}>
                {percent(edge.traffic.errorRate)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** Who calls, and who is called, with what was measured of each. */
export function Connections({
  inbound,
  outbound = [],
}: {
  inbound: readonly GraphEdge[]
  outbound?: readonly GraphEdge[]
}) {
  if (inbound.length + outbound.length === 0) return <p className="quiet">No calls in the last minute.</p>
  return (
    <div className="table-wrap">
      <table>
        <thead>
          <tr>
            <th scope="col">
              <span className="sr-only">Direction</span>
            </th>
            <th scope="col">Application</th>
            <th scope="col" className="wide">
              Protocol
            </th>
            <th scope="col">Security</th>
            <th scope="col" className="num">
              Rate
            </th>
            <th scope="col" className="num">
              Errors
            </th>
            <th scope="col" className="num wide">
              p50
            </th>
            <th scope="col" className="num">
              p99
            </th>
          </tr>
        </thead>
        <tbody>
          {inbound.map(edge => (
            <Row key={`from${edge.id}`} edge={edge} direction="from" />
          ))}
          {outbound.map(edge => (
            <Row key={`to${edge.id}`} edge={edge} direction="to" />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Row({ edge, direction }: { edge: GraphEdge; direction: 'from' | 'to' }) {
  return (
    <tr>
      <td className="quiet">{direction}</td>
      <td>{direction === 'from' ? edge.source : edge.target}</td>
      <td className="wide">{edge.protocol}</td>
      <td>
        <Security security={edge.security} />
      </td>
      <td className="num">{rate(edge.traffic.rate)}</td>
      <td className={edge.traffic.errorRate > 0.05 ? 'num bad-text' : 'num'}>
        {percent(edge.traffic.errorRate)}
      </td>
      <td className="num wide">{latency(edge.traffic.p50)}</td>
      <td className="num">{latency(edge.traffic.p99)}</td>
    </tr>
  )
}
