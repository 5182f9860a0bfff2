import type { WorkloadSummary } from '@seine/insights/api-types'
import { Link, useParams } from '@tanstack/react-router'
import { useWorkload, useWorkloads } from '../api.ts'
import { Connections } from '../components/connections.tsx'
import { Flags } from '../components/flags.tsx'
import { ListPage } from '../components/list-page.tsx'
import {
  Badge,
  ConfigList,
  Figures,
  PageHead,
  ProblemBadge,
  Section,
  SyncBadge,
} from '../components/parts.tsx'
import { Problems } from '../components/problems.tsx'
import { Loaded } from '../components/states.tsx'
import type { Column } from '../components/table.tsx'
import { TrafficCharts } from '../components/traffic-chart.tsx'
import { trafficColumns } from '../components/traffic-columns.tsx'
import { relativeTime } from '../format.ts'

const COLUMNS: readonly Column<WorkloadSummary>[] = [
  {
    title: 'Workload',
    sort: row => row.name,
    cell: row => (
      <>
        <strong>{row.name}</strong>{' '}
        {row.ready ? null : (
          <span title={row.waitsFor}>
            <Badge tone="warn">not ready</Badge>
          </span>
        )}
        <ProblemBadge count={row.problems} worst={row.worst} />
      </>
    ),
  },
  { title: 'Namespace', sort: row => row.namespace, cell: row => row.namespace, wide: true },
  {
    title: 'Version',
    sort: row => row.version,
    cell: row => <Badge tone="muted">{row.version}</Badge>,
    wide: true,
  },
  { title: 'Address', cell: row => <span className="mono quiet">{row.address}</span>, wide: true },
  { title: 'Proxy', sort: row => row.proxy, cell: row => <SyncBadge state={row.proxy} /> },
  {
    title: 'Certificate',
    sort: row => row.certificate?.notAfter ?? 0,
    cell: row =>
      row.certificate ? (
        <span className={row.certificate.state === 'valid' ? undefined : 'bad-text'}>
          ends {relativeTime(row.certificate.notAfter, Date.now())}
        </span>
      ) : (
        '–'
      ),
    wide: true,
  },
  ...trafficColumns<WorkloadSummary>(['rate', 'errors', 'p99'], 'Rate in'),
]

/** All workloads. */
export function WorkloadsPage() {
  return (
    <ListPage
      title="Workloads"
      sub="What runs, who it is, and what its sidecar has"
      query={useWorkloads()}
      text={row => `${row.namespace}/${row.pod}`}
      none="No workloads yet"
      noMatch="No workload matches"
      advice="Pods and WorkloadEntries appear here as they start."
      columns={COLUMNS}
      rowKey={row => `${row.namespace}/${row.pod}`}
      testId={row => `workloads-row-${row.name}`}
      to={row => `/workloads/${row.namespace}/${row.pod}`}
    />
  )
}

/** One workload: identity, sidecar, traffic. */
export function WorkloadPage() {
  const { namespace, pod } = useParams({ from: '/workloads/$namespace/$pod' })
  const query = useWorkload(namespace, pod)
  return (
    <Loaded query={query}>
      {workload => (
        <>
          <PageHead
            title={workload.name}
            sub={
              <span className="mono">
                {workload.namespace}/{workload.pod} · {workload.address}
              </span>
            }
          >
            <Figures traffic={workload.traffic} />
          </PageHead>
          <Flags flags={workload.traffic.flags} />
          {workload.problemList.length > 0 ? (
            <Section title="Problems">
              <Problems problems={workload.problemList} />
            </Section>
          ) : null}
          <div className="cards">
            <div className="card">
              <h3>Identity</h3>
              {workload.certificate ? (
                <dl>
                  <dt>SPIFFE ID</dt>
                  <dd className="mono break" data-testid="identity">
                    {workload.certificate.identity}
                  </dd>
                  <dt>Certificate ends</dt>
                  <dd>
                    {relativeTime(workload.certificate.notAfter, Date.now())}{' '}
                    <span className="quiet">
                      ({new Date(workload.certificate.notAfter).toLocaleString()})
                    </span>
                  </dd>
                  <dt>Serial</dt>
                  <dd className="mono break quiet">{workload.certificate.serial}</dd>
                </dl>
              ) : (
                <p className="quiet">
                  {workload.meshed
                    ? 'Its sidecar has not been read yet.'
                    : 'It has no sidecar, and so no identity.'}
                </p>
              )}
            </div>
            <div className="card">
              <h3>Sidecar</h3>
              <p>
                <SyncBadge state={workload.proxy} />{' '}
                {workload.waitsFor ? <span className="quiet">waits for: {workload.waitsFor}</span> : null}
              </p>
              {workload.proxyId ? (
                <Link to="/proxies/$id" params={{ id: workload.proxyId }}>
                  What it was given, and why
                </Link>
              ) : null}
              <dl>
                <dt>Service account</dt>
                <dd className="mono">{workload.serviceAccount}</dd>
                <dt>Services</dt>
                <dd>
                  {workload.services.map(hostname => (
                    <Link key={hostname} className="block" to="/services/$hostname" params={{ hostname }}>
                      {hostname}
                    </Link>
                  ))}
                </dd>
              </dl>
            </div>
          </div>
          <Section title="Traffic in" hint="last 15 minutes">
            <TrafficCharts of={`workload=${encodeURIComponent(`${workload.namespace}/${workload.name}`)}`} />
          </Section>
          <Section title="Connections" hint="last minute, all versions of the application">
            <Connections inbound={workload.inbound} outbound={workload.outbound} />
          </Section>
          <Section title="Configuration" hint="what shapes its services">
            <ConfigList config={workload.config} />
          </Section>
        </>
      )}
    </Loaded>
  )
}
