import type { Kind, MeshResource } from '@seine/api'
import { asList, at, textAt } from '../hub/json.ts'

/** One column of `get`, beside the name. */
export interface Column {
  readonly title: string
  value(resource: MeshResource): string
}

const text = (title: string, ...path: string[]): Column => ({
  title,
  value: resource => textAt(resource.spec, ...path),
})

const list = (title: string, ...path: string[]): Column => ({
  title,
  value: resource => asList(at(resource.spec, ...path)).join(','),
})

const count = (title: string, ...path: string[]): Column => ({
  title,
  value: resource => String(asList(at(resource.spec, ...path)).length),
})

const labels = (title: string, ...path: string[]): Column => ({
  title,
  value: resource =>
    Object.entries(at(resource.spec, ...path) ?? {})
      .map(([name, value]) => `${name}=${String(value)}`)
      .join(','),
})

const servicePorts: Column = {
  title: 'PORT(S)',
  value: resource =>
    asList(at(resource.spec, 'ports'))
      .map(port => `${textAt(port, 'port') || textAt(port, 'number')}/${textAt(port, 'protocol') || 'TCP'}`)
      .join(','),
}

const podReady: Column = {
  title: 'READY',
  value: resource => {
    const ready = asList(at(resource.status, 'conditions')).find(
      condition => textAt(condition, 'type') === 'Ready',
    )
    return textAt(ready, 'status')
  },
}

const inStatus = (title: string, ...path: string[]): Column => ({
  title,
  value: resource => textAt(resource.status, ...path),
})

const COLUMNS: Readonly<Partial<Record<Kind, readonly Column[]>>> = {
  VirtualService: [list('GATEWAYS', 'gateways'), list('HOSTS', 'hosts')],
  DestinationRule: [
    text('HOST', 'host'),
    {
      title: 'SUBSETS',
      value: ({ spec }) =>
        asList(at(spec, 'subsets'))
          .map(subset => textAt(subset, 'name'))
          .join(','),
    },
  ],
  ServiceEntry: [list('HOSTS', 'hosts'), text('LOCATION', 'location'), text('RESOLUTION', 'resolution')],
  WorkloadEntry: [text('ADDRESS', 'address'), labels('LABELS', 'labels')],
  PeerAuthentication: [text('MODE', 'mtls', 'mode'), labels('SELECTOR', 'selector', 'matchLabels')],
  AuthorizationPolicy: [
    { title: 'ACTION', value: ({ spec }) => textAt(spec, 'action') || 'ALLOW' },
    count('RULES', 'rules'),
    labels('SELECTOR', 'selector', 'matchLabels'),
  ],
  Service: [
    text('TYPE', 'type'),
    text('CLUSTER-IP', 'clusterIP'),
    servicePorts,
    labels('SELECTOR', 'selector'),
  ],
  EndpointSlice: [text('ADDRESSTYPE', 'addressType'), count('ENDPOINTS', 'endpoints')],
  Pod: [podReady, inStatus('STATUS', 'phase'), inStatus('IP', 'podIP')],
  Deployment: [{ title: 'REPLICAS', value: ({ spec }) => textAt(spec, 'replicas') || '1' }],
  ConfigMap: [{ title: 'DATA', value: ({ spec }) => String(Object.keys(at(spec, 'data') ?? {}).length) }],
}

/** The columns of a kind; kinds without any show their names only. */
export function columnsOf(kind: Kind): readonly Column[] {
  return COLUMNS[kind] ?? []
}
