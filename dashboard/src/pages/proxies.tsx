import type { ApiProxy, ApiProxyConfig, ApiResource } from '@seine/insights/api-types'
import { Link, useParams } from '@tanstack/react-router'
import { useState } from 'react'
import { stringify } from 'yaml'
import { useProxies, useProxyConfig } from '../api.ts'
import { ListPage } from '../components/list-page.tsx'
import { PageHead, Section, SyncBadge } from '../components/parts.tsx'
import { Loaded } from '../components/states.tsx'
import type { Column } from '../components/table.tsx'
import { relativeTime, resourcePath, shortPath } from '../format.ts'

const TYPES = ['CDS', 'EDS', 'LDS', 'RDS', 'VHDS'] as const
/** Few proxies have the last. */
const ALL_TYPES = [...TYPES, 'ECDS'] as const

const COLUMNS: readonly Column<ApiProxy>[] = [
  {
    title: 'Proxy',
    sort: row => row.workload,
    cell: row => (
      <>
        <strong>{row.workload}</strong>{' '}
        <span className="quiet mono">
          {row.namespace} · {row.ip}
        </span>
      </>
    ),
  },
  ...TYPES.map(
    (type): Column<ApiProxy> => ({
      title: type,
      wide: type === 'RDS' || type === 'VHDS',
      sort: row => row.types[type]?.state ?? '',
      cell: row => {
        const status = row.types[type]
        return status ? (
          <span title={status.nack?.message ?? `${status.resources} resources`}>
            <SyncBadge state={status.state} /> <span className="quiet num-inline">{status.resources}</span>
          </span>
        ) : (
          <span className="quiet">–</span>
        )
      },
    }),
  ),
  {
    title: 'Connected',
    sort: row => row.connectedAt,
    cell: row => relativeTime(row.connectedAt, Date.now()),
    wide: true,
  },
]

/** What every proxy has acknowledged. */
export function ProxiesPage() {
  return (
    <ListPage
      title="Proxies"
      sub="What each Envoy was sent and has acknowledged"
      query={useProxies()}
      text={row => row.id}
      none="No proxy is connected"
      noMatch="No proxy matches"
      advice="Sidecars connect by themselves when they start; a proxy that is missing here keeps serving with what it last got."
      columns={COLUMNS}
      rowKey={row => row.id}
      testId={row => `proxies-row-${row.workload}`}
      to={row => `/proxies/${encodeURIComponent(row.id)}`}
    />
  )
}

const PARTS = ['listeners', 'routes', 'clusters', 'endpoints', 'extensions', 'secrets'] as const

/** One proxy: rejections with Envoy's reason, and every resource it gets with its cause. */
export function ProxyPage() {
  const { id } = useParams({ from: '/proxies/$id' })
  const proxies = useProxies()
  const config = useProxyConfig(id)
  const proxy = proxies.data?.find(one => one.id === id)
  const rejected = Object.entries(proxy?.types ?? {}).flatMap(([type, { nack }]) =>
    nack ? [{ type, nack }] : [],
  )
  return (
    <>
      <PageHead title={proxy?.workload ?? 'Proxy'} sub={<span className="mono break">{id}</span>} />
      {rejected.map(({ type, nack }) => (
        <div key={type} className="nack" role="alert">
          <strong>{type} rejected by Envoy</strong>
          <p className="mono">{nack.message}</p>
          <p className="quiet">{nack.resources.join(', ')} — the last good configuration stays in force</p>
        </div>
      ))}
      {proxy ? <Acknowledged proxy={proxy} /> : null}
      <Loaded query={config}>{found => <ConfigView config={found} />}</Loaded>
    </>
  )
}

/** A card for each type of resource: what is in force, and since when. */
function Acknowledged({ proxy }: { proxy: ApiProxy }) {
  return (
    <div className="acks">
      {ALL_TYPES.flatMap(type => {
        const status = proxy.types[type]
        return status
          ? [
              <div key={type} className="card" data-testid={`ack-${type}`}>
                <h3>{type}</h3>
                <p>
                  <SyncBadge state={status.state} /> {status.resources} resource
                  {status.resources === 1 ? '' : 's'}
                </p>
                <p className="quiet small">
                  {status.ackedAt === undefined
                    ? 'not acknowledged yet'
                    : `acknowledged ${relativeTime(status.ackedAt, Date.now())}`}
                </p>
              </div>,
            ]
          : []
      })}
    </div>
  )
}

function ConfigView({ config }: { config: ApiProxyConfig }) {
  const [part, setPart] = useState<(typeof PARTS)[number]>('listeners')
  return (
    <Section title="Configuration" hint="each resource with the objects, files and lines it came from">
      <div className="tabs" role="tablist">
        {PARTS.map(name => (
          <button
            key={name}
            type="button"
            role="tab"
            aria-selected={name === part}
            onClick={() => setPart(name)}
          >
            {name} <span className="quiet">{config[name].length}</span>
          </button>
        ))}
      </div>
      <ul className="config-list">
        {config[part].map(resource => (
          <Resource key={resource.name} resource={resource} />
        ))}
      </ul>
    </Section>
  )
}

function Resource({ resource }: { resource: ApiResource }) {
  return (
    <li>
      <details>
        <summary>
          <span className="mono">{resource.name}</span>
          <span className="causes">
            {resource.provenance.slice(0, 4).map(cause => (
              <span
                key={`${cause.kind}${cause.namespace}${cause.name}${cause.path ?? ''}`}
                className="cause"
                title={`${cause.kind} ${cause.namespace}/${cause.name} ${cause.path ?? ''} ${cause.file ?? ''}`}
              >
                {cause.kind} {cause.name}
                {cause.file ? (
                  <span className="quiet">
                    {' '}
                    {shortPath(cause.file)}:{cause.line}
                  </span>
                ) : null}
              </span>
            ))}
            {resource.provenance.length > 4 ? (
              <span className="quiet">+{resource.provenance.length - 4}</span>
            ) : null}
          </span>
        </summary>
        <ul className="reasons">
          {resource.provenance.map(cause => (
            <li key={`${cause.kind}${cause.namespace}${cause.name}${cause.path ?? ''}`}>
              <Link to={resourcePath(cause)}>
                {cause.kind} {cause.namespace ? `${cause.namespace}/` : ''}
                {cause.name}
              </Link>
              {cause.path ? <code>{cause.path}</code> : null}
              {cause.file ? (
                <span className="quiet mono" title={cause.file}>
                  {shortPath(cause.file)}:{cause.line}
                </span>
              ) : null}
            </li>
          ))}
        </ul>
        <pre className="code">{stringify(resource.config)}</pre>
      </details>
    </li>
  )
}
