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

/** The status of a condition of the object itself. */
const inConditions = (title: string, type: string): Column => ({
  title,
  value: ({ status }) =>
    textAt(
      asList(at(status, 'conditions')).find(condition => textAt(condition, 'type') === type),
      'status',
    ),
})

/** Whether all parents have accepted the object: `True`, or how many of how many. */
const acceptedByParents: Column = {
  title: 'ACCEPTED',
  value: ({ status }) => {
    const parents = asList(at(status, 'parents'))
    const accepted = parents.filter(parent =>
      asList(at(parent, 'conditions')).some(
        condition => textAt(condition, 'type') === 'Accepted' && textAt(condition, 'status') === 'True',
      ),
    )
    if (parents.length === 0) return ''
    return accepted.length === parents.length ? 'True' : `${accepted.length}/${parents.length}`
  },
}

const ROUTE_COLUMNS: readonly Column[] = [list('HOSTNAMES', 'hostnames'), acceptedByParents]
const GATEWAY_COLUMNS: readonly Column[] = [
  text('CLASS', 'gatewayClassName'),
  {
    title: 'ADDRESS',
    value: ({ status }) =>
      asList(at(status, 'addresses'))
        .map(address => textAt(address, 'value'))
        .join(','),
  },
  inConditions('PROGRAMMED', 'Programmed'),
]

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
  WorkloadEntry: [text('ADDRESS', 'address'), labels('LABELS', 'labels'), inConditions('HEALTHY', 'Healthy')],
  WorkloadGroup: [
    text('SERVICEACCOUNT', 'template', 'serviceAccount'),
    labels('LABELS', 'metadata', 'labels'),
  ],
  PeerAuthentication: [text('MODE', 'mtls', 'mode'), labels('SELECTOR', 'selector', 'matchLabels')],
  AuthorizationPolicy: [
    { title: 'ACTION', value: ({ spec }) => textAt(spec, 'action') || 'ALLOW' },
    count('RULES', 'rules'),
    labels('SELECTOR', 'selector', 'matchLabels'),
  ],
  GatewayClass: [text('CONTROLLER', 'controllerName'), inConditions('ACCEPTED', 'Accepted')],
  ListenerSet: [text('GATEWAY', 'parentRef', 'name'), inConditions('ACCEPTED', 'Accepted')],
  HTTPRoute: ROUTE_COLUMNS,
  GRPCRoute: ROUTE_COLUMNS,
  TLSRoute: ROUTE_COLUMNS,
  TCPRoute: [acceptedByParents],
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

/** The columns of an object's kind; kinds without any show their names only. */
export function columnsOf({ kind, apiVersion }: MeshResource): readonly Column[] {
  // Istio has a kind of that name, too.
  if (kind === 'Gateway' && apiVersion.startsWith('gateway.')) return GATEWAY_COLUMNS
  return COLUMNS[kind] ?? []
}
