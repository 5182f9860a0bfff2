import type { ServiceDetail, ServiceSummary } from '@seine/insights/api-types'
import { Link, useParams } from '@tanstack/react-router'
import { useGraph, useService, useServices, useWorkloads } from '../api.ts'
import { Connections } from '../components/connections.tsx'
import { Badge, ConfigList, Figures, PageHead, Section } from '../components/parts.tsx'
import { Problems } from '../components/problems.tsx'
import { Empty, Loaded } from '../components/states.tsx'
import { type Column, Table } from '../components/table.tsx'
import { TrafficCharts } from '../components/traffic-chart.tsx'
import { latency, percent, rate } from '../format.ts'
import { useFilter } from '../search.ts'

const COLUMNS: readonly Column<ServiceSummary>[] = [
  {
    title: 'Service',
    sort: row => row.name,
    cell: row => (
      <>
        <strong>{row.name}</strong> {row.external ? <Badge tone="muted">external</Badge> : null}
        {row.problems > 0 ? (
          <Badge tone="bad">
            {row.problems} problem{row.problems > 1 ? 's' : ''}
          </Badge>
        ) : null}
      </>
    ),
  },
  { title: 'Namespace', sort: row => row.namespace, cell: row => row.namespace, wide: true },
  {
    title: 'Ports',
    cell: row => (
      <span className="mono quiet">{row.ports.map(port => `${port.number}/${port.protocol}`).join(' ')}</span>
    ),
    wide: true,
  },
  {
    title: 'Endpoints',
    numeric: true,
    sort: row => row.endpoints,
    cell: row => (
      <span className={row.endpoints === 0 && !row.external ? 'bad-text' : undefined}>{row.endpoints}</span>
    ),
  },
  { title: 'Rate', numeric: true, sort: row => row.traffic.rate, cell: row => rate(row.traffic.rate) },
  {
    title: 'Errors',
    numeric: true,
    sort: row => row.traffic.errorRate,
    cell: row => (
      <span className={row.traffic.errorRate > 0.05 ? 'bad-text' : undefined}>
        {percent(row.traffic.errorRate)}
      </span>
    ),
  },
  {
    title: 'p50',
    numeric: true,
    sort: row => row.traffic.p50 ?? -1,
    cell: row => latency(row.traffic.p50),
    wide: true,
  },
  { title: 'p99', numeric: true, sort: row => row.traffic.p99 ?? -1, cell: row => latency(row.traffic.p99) },
]

/** All services of the registry. */
export function ServicesPage() {
  const query = useServices()
  const filter = useFilter()
  return (
    <>
      <PageHead title="Services" sub="Every destination the mesh knows, with the last minute's traffic" />
      <Loaded query={query}>
        {services => {
          const rows = services.filter(row => filter(row.hostname))
          if (rows.length === 0)
            return (
              <Empty title={services.length === 0 ? 'No services yet' : 'No service matches'}>
                Services come from Kubernetes Service and Istio ServiceEntry objects: apply one with seinectl
                apply -f.
              </Empty>
            )
          return (
            <Table
              caption="Services"
              rows={rows}
              columns={COLUMNS}
              rowKey={row => row.hostname}
              testId={row => `services-row-${row.name}`}
              to={row => `/services/${row.hostname}`}
            />
          )
        }}
      </Loaded>
    </>
  )
}

/** One service: its traffic, its versions, and what shapes it. */
export function ServicePage() {
  const { hostname } = useParams({ from: '/services/$hostname' })
  const query = useService(hostname)
  return (
    <Loaded query={query}>
      {service => (
        <>
          <PageHead
            title={service.name}
            sub={
              <span className="mono">
                {service.hostname}
                {service.addresses.length > 0 ? ` · ${service.addresses.join(', ')}` : ''}
              </span>
            }
          >
            <Figures traffic={service.traffic} />
          </PageHead>
          {service.problemList.length > 0 ? (
            <Section title="Problems">
              <Problems problems={service.problemList} />
            </Section>
          ) : null}
          <Section title="Traffic" hint="last 15 minutes">
            <TrafficCharts of={`service=${encodeURIComponent(hostname)}`} />
          </Section>
          <Section title="Versions">
            {service.versions.length === 0 ? (
              <p className="quiet">No workload serves it.</p>
            ) : (
              <Versions service={service} />
            )}
          </Section>
          <Section title="Called by" hint="last minute">
            <Callers service={service} />
          </Section>
          <Section title="Endpoints" hint="where its requests go">
            <Endpoints service={service} />
          </Section>
          <Section title="Configuration" hint="what shapes this service, and where it is written">
            <ConfigList config={service.config} />
          </Section>
        </>
      )}
    </Loaded>
  )
}

function Versions({ service }: { service: ServiceDetail }) {
  return (
    <div className="table-wrap">
      <table>
        <thead>
          <tr>
            <th scope="col">Workload</th>
            <th scope="col" className="wide">
              Version
            </th>
            <th scope="col" className="num wide">
              Endpoints
            </th>
            <th scope="col" className="num">
              Share
            </th>
            <th scope="col" className="num">
              Rate
            </th>
            <th scope="col" className="num">
              Errors
            </th>
            <th scope="col" className="num">
              p99
            </th>
          </tr>
        </thead>
        <tbody>
          {service.versions.map(version => {
            const share = service.traffic.rate > 0 ? version.traffic.rate / service.traffic.rate : 0
            return (
              <tr key={version.workload}>
                <td>{version.workload}</td>
                <td className="wide">
                  <Badge tone="muted">{version.version}</Badge>
                </td>
                <td className="num wide">{version.endpoints}</td>
                <td className="num">
                  <span className="bar wide" aria-hidden>
                    <span style={{ width: `${Math.min(100, share * 100)}%` }} />
                  </span>{' '}
                  {percent(share)}
                </td>
                <td className="num">{rate(version.traffic.rate)}</td>
                <td className={version.traffic.errorRate > 0.05 ? 'num bad-text' : 'num'}>
                  {percent(version.traffic.errorRate)}
                </td>
                <td className="num">{latency(version.traffic.p99)}</td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

function Callers({ service }: { service: ServiceDetail }) {
  const query = useGraph(60)
  return (
    <Loaded query={query}>
      {({ edges, nodes }) => {
        const own = nodes.find(
          node =>
            node.name === service.name && (node.namespace === service.namespace || node.kind === 'external'),
        )
        return <Connections inbound={edges.filter(edge => edge.target === own?.id)} />
      }}
    </Loaded>
  )
}

function Endpoints({ service }: { service: ServiceDetail }) {
  const workloads = useWorkloads().data ?? []
  if (service.endpointList.length === 0)
    return <p className="quiet">It has no endpoints: requests to it are answered with 503.</p>
  return (
    <div className="table-wrap">
      <table>
        <thead>
          <tr>
            <th scope="col">Address</th>
            <th scope="col">Workload</th>
            <th scope="col" className="wide">
              Version
            </th>
            <th scope="col">Sidecar</th>
          </tr>
        </thead>
        <tbody>
          {service.endpointList.map(endpoint => {
            const workload = workloads.find(({ address }) => address === endpoint.address)
            return (
              <tr key={`${endpoint.address}:${endpoint.port}`}>
                <td className="mono">
                  {endpoint.address}:{endpoint.port}
                </td>
                <td>
                  {workload ? (
                    <Link
                      to="/workloads/$namespace/$pod"
                      params={{ namespace: workload.namespace, pod: workload.pod }}
                    >
                      {endpoint.workload}
                    </Link>
                  ) : (
                    endpoint.workload || <span className="quiet">none</span>
                  )}
                </td>
                <td className="wide">
                  {endpoint.version ? <Badge tone="muted">{endpoint.version}</Badge> : '–'}
                </td>
                <td>{endpoint.mtls ? 'takes mutual TLS' : <span className="quiet">none: plaintext</span>}</td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}
