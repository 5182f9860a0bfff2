import type { ResourceDetail, ResourceSummary } from '@seine/insights/api-types'
import { Link, useParams } from '@tanstack/react-router'
import { stringify } from 'yaml'
import { useResource, useResources } from '../api.ts'
import { ListPage } from '../components/list-page.tsx'
import { Badge, PageHead, ProblemBadge, Section } from '../components/parts.tsx'
import { Problems } from '../components/problems.tsx'
import { Loaded } from '../components/states.tsx'
import type { Column } from '../components/table.tsx'
import { resourcePath, shortPath } from '../format.ts'

const COLUMNS: readonly Column<ResourceSummary>[] = [
  {
    title: 'Name',
    sort: row => row.name,
    cell: row => (
      <>
        <strong>{row.name}</strong> {row.canary ? <Badge tone="muted">canary</Badge> : null}{' '}
        <ProblemBadge count={row.problems} worst={row.worst} />
      </>
    ),
  },
  { title: 'Kind', sort: row => row.kind, cell: row => <Badge tone="muted">{row.kind}</Badge> },
  { title: 'Namespace', sort: row => row.namespace, cell: row => row.namespace || '–', wide: true },
  {
    title: 'Written in',
    wide: true,
    sort: row => `${row.file ?? ''}:${String(row.line ?? 0).padStart(6, '0')}`,
    cell: row =>
      row.file ? (
        <span className="mono quiet" title={row.file}>
          {shortPath(row.file)}:{row.line}
        </span>
      ) : (
        '–'
      ),
  },
]

/** All configuration objects, with what analysis says of them. */
export function ConfigPage() {
  return (
    <ListPage
      title="Configuration"
      sub="Every object that the mesh was given, and what is wrong with it"
      query={useResources()}
      text={row => `${row.kind} ${row.namespace}/${row.name} ${row.file ?? ''}`}
      none="No configuration yet"
      noMatch="No object matches"
      advice="Objects come from the configuration folders: apply some with seinectl apply -f."
      columns={COLUMNS}
      rowKey={row => resourcePath(row)}
      testId={row => `config-row-${row.kind}-${row.name}`}
      to={resourcePath}
    />
  )
}

/** The page of an object in a namespace. */
export function NamespacedResourcePage() {
  const { kind, namespace, name } = useParams({ from: '/config/$kind/$namespace/$name' })
  return <ResourcePage path={[kind, namespace, name]} />
}

/** The page of an object that is in no namespace. */
export function ClusterResourcePage() {
  const { kind, name } = useParams({ from: '/config/$kind/$name' })
  return <ResourcePage path={[kind, name]} />
}

/** One configuration object: what is wrong with it, what it shapes, and what it says. */
function ResourcePage({ path }: { path: readonly string[] }) {
  const query = useResource(path)
  return (
    <Loaded query={query}>
      {resource => (
        <>
          <PageHead
            title={resource.name}
            sub={
              <span className="mono">
                {resource.kind}
                {resource.namespace ? ` · ${resource.namespace}` : ''}
                {resource.file ? ` · ${shortPath(resource.file)}:${resource.line}` : ''}
              </span>
            }
          />
          <Section title="Problems" hint="what validation, analysis and the sidecars say of it">
            {resource.problemList.length > 0 ? (
              <Problems problems={resource.problemList} />
            ) : (
              <p className="quiet">Nothing is wrong with it.</p>
            )}
          </Section>
          <Section title="Shapes" hint="services whose calls it has to do with, and workloads">
            <Shaped resource={resource} />
          </Section>
          <Section title="Text">
            <div className="config-list">
              <pre className="code" data-testid="resource-yaml">
                {stringify(resource.yaml)}
              </pre>
            </div>
          </Section>
        </>
      )}
    </Loaded>
  )
}

function Shaped({ resource }: { resource: ResourceDetail }) {
  const { services, workloads } = resource
  if (services.length + workloads.length === 0)
    return <p className="quiet">No service and no workload of the mesh.</p>
  return (
    <ul className="shaped">
      {services.map(hostname => (
        <li key={hostname}>
          <Link to="/services/$hostname" params={{ hostname }}>
            {hostname}
          </Link>
        </li>
      ))}
      {workloads.map(({ namespace, pod, workload }) => (
        <li key={`${namespace}/${pod}`}>
          <Link to="/workloads/$namespace/$pod" params={{ namespace, pod }}>
            {workload} <span className="quiet mono">{pod}</span>
          </Link>
        </li>
      ))}
    </ul>
  )
}
