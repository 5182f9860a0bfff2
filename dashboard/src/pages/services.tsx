import type { ServiceDetail, ServiceSummary } from '@seine/insights/api-types'
import { Link, useParams } from '@tanstack/react-router'
import { useService, useServices } from '../api.ts'
import { Connections } from '../components/connections.tsx'
import { Flags } from '../components/flags.tsx'
import { ListPage } from '../components/list-page.tsx'
import { Badge, ConfigList, Figures, PageHead, ProblemBadge, Section } from '../components/parts.tsx'
import { Problems } from '../components/problems.tsx'
import { Loaded } from '../components/states.tsx'
import { type Column, Table } from '../components/table.tsx'
import { TrafficCharts } from '../components/traffic-chart.tsx'
import { trafficColumns } from '../components/traffic-columns.tsx'
import { percent } from '../format.ts'

const COLUMNS: readonly Column<ServiceSummary>[] = [
  {
    title: 'Service',
    sort: row => row.name,
    cell: row => (
      <>
        <strong>{row.name}</strong> {row.external ? <Badge tone="muted">external</Badge> : null}
        <ProblemBadge count={row.problems} worst={row.worst} />
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
  ...trafficColumns<ServiceSummary>(['rate', 'errors', 'p50', 'p99']),
]

/** All services of the registry. */
export function ServicesPage() {
  return (
    <ListPage
      title="Services"
      sub="Every destination the mesh knows, with the last minute's traffic"
      query={useServices()}
      text={row => row.hostname}
      none="No services yet"
      noMatch="No service matches"
      advice="Services come from Kubernetes Service and Istio ServiceEntry objects: apply one with seinectl apply -f."
      columns={COLUMNS}
      rowKey={row => row.hostname}
      testId={row => `services-row-${row.name}`}
      to={row => `/services/${row.hostname}`}
    />
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
          <Flags flags={service.traffic.flags} />
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
          <Section title="Connections" hint="last minute">
            <Connections inbound={service.inbound} outbound={service.outbound} />
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

type Version = ServiceDetail['versions'][number]

function Versions({ service }: { service: ServiceDetail }) {
  const shareOf = (version: Version) =>
    service.traffic.rate > 0 ? version.traffic.rate / service.traffic.rate : 0
  const columns: readonly Column<Version>[] = [
    { title: 'Workload', cell: version => version.workload },
    { title: 'Version', wide: true, cell: version => <Badge tone="muted">{version.version}</Badge> },
    { title: 'Endpoints', numeric: true, wide: true, cell: version => version.endpoints },
    {
      title: 'Share',
      numeric: true,
      cell: version => (
        <>
          <span className="bar wide" aria-hidden>
            <span style={{ width: `${Math.min(100, shareOf(version) * 100)}%` }} />
          </span>{' '}
          {percent(shareOf(version))}
        </>
      ),
    },
    ...trafficColumns<Version>(['rate', 'errors', 'p99']),
  ]
  return (
    <Table
      caption="Versions"
      rows={service.versions}
      columns={columns}
      rowKey={version => version.workload}
    />
  )
}

type Endpoint = ServiceDetail['endpointList'][number]

function Endpoints({ service }: { service: ServiceDetail }) {
  if (service.endpointList.length === 0)
    return <p className="quiet">It has no endpoints: requests to it are answered with 503.</p>
  const columns: readonly Column<Endpoint>[] = [
    {
      title: 'Address',
      cell: ({ address, port }) => (
        <span className="mono">
          {address}:{port}
        </span>
      ),
    },
    {
      title: 'Workload',
      cell: endpoint => {
        const { namespace, pod } = endpoint
        if (namespace === undefined || pod === undefined)
          return endpoint.workload || <span className="quiet">none</span>
        return (
          <Link to="/workloads/$namespace/$pod" params={{ namespace, pod }}>
            {endpoint.workload}
          </Link>
        )
      },
    },
    {
      title: 'Version',
      wide: true,
      cell: ({ version }) => (version ? <Badge tone="muted">{version}</Badge> : '–'),
    },
    {
      title: 'Sidecar',
      cell: ({ mtls }) => (mtls ? 'takes mutual TLS' : <span className="quiet">none: plaintext</span>),
    },
  ]
  return (
    <Table
      caption="Endpoints"
      rows={service.endpointList}
      columns={columns}
      rowKey={({ address, port }) => `${address}:${port}`}
    />
  )
}
