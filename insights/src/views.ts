import { keyOf, type MeshResource, refOf } from '@seine/api'
import type { Problem } from '@seine/kit'
import {
  hostCovers,
  type MeshService,
  type MeshSnapshot,
  resolveHost,
  selects,
  type Workload,
} from '@seine/model'
import type {
  ApiProblem,
  ApiProxy,
  ApiProxyConfig,
  ConfigRef,
  GraphEdge,
  ServiceDetail,
  ServiceSummary,
  WorkloadDetail,
  WorkloadSummary,
} from './api-types.ts'
import { figuresOf } from './figures.ts'
import type { HubProxy, HubProxyConfig, HubResource } from './hub-inputs.ts'
import type { Scraper } from './scraper.ts'
import { nodeId } from './topology.ts'
import type { CallKey, TrafficStore } from './traffic-store.ts'

/** The last minute is what lists show. */
const WINDOW_S = 60

/** Everything that the views are made from, at one moment. */
export interface ViewInputs {
  readonly snapshot: MeshSnapshot
  readonly resources: readonly MeshResource[]
  readonly problems: readonly Problem[]
  readonly proxies: readonly HubProxy[]
  readonly edges: readonly GraphEdge[]
  readonly store: TrafficStore
  readonly scraper: Pick<Scraper, 'certificateOf'>
  readonly now: number
}

export function apiProblem({ severity, code, message, resource, path, position }: Problem): ApiProblem {
  return { severity, code, message, ...(resource ?? {}), ...(path ? { path } : {}), ...(position ?? {}) }
}

export function serviceSummaries(inputs: ViewInputs): ServiceSummary[] {
  return [...inputs.snapshot.services.values()]
    .map(service => serviceSummary(service, inputs))
    .sort((a, b) => (a.hostname < b.hostname ? -1 : 1))
}

function serviceSummary(service: MeshService, inputs: ViewInputs): ServiceSummary {
  const { hostname, name, namespace, external, addresses } = service
  return {
    hostname,
    name,
    namespace,
    external,
    addresses,
    ports: service.ports.map(port => ({ name: port.name, number: port.number, protocol: port.protocol })),
    endpoints: endpointsOf(hostname, inputs).length,
    traffic: traffic(inputs, key => key.destinationService === hostname),
    problems: problemsOf(service, inputs).length,
  }
}

export function serviceDetail(hostname: string, inputs: ViewInputs): ServiceDetail | undefined {
  const service = inputs.snapshot.services.get(hostname)
  if (!service) return undefined
  const endpoints = endpointsOf(hostname, inputs)
  const versions = new Map<string, { workload: string; version: string; endpoints: number }>()
  for (const { workload } of endpoints) {
    if (!workload) continue
    const known = versions.get(workload.workloadName) ?? {
      workload: workload.workloadName,
      version: workload.version,
      endpoints: 0,
    }
    versions.set(workload.workloadName, { ...known, endpoints: known.endpoints + 1 })
  }
  return {
    ...serviceSummary(service, inputs),
    versions: [...versions.values()].map(version => ({
      ...version,
      traffic: traffic(
        inputs,
        key => key.destinationService === hostname && key.destinationWorkload === version.workload,
      ),
    })),
    endpointList: endpoints.map(({ address, port, workload, meshed }) => ({
      address,
      port,
      workload: workload?.workloadName ?? '',
      version: workload?.version ?? '',
      mtls: meshed,
    })),
    config: inputs.resources
      .filter(resource => concerns(resource, service))
      .map(resource => configRef(resource, true)),
    problemList: problemsOf(service, inputs).map(apiProblem),
  }
}

/** A receiving sidecar's report, else the caller's: both would count each call twice. */
function traffic(inputs: ViewInputs, wanted: (key: CallKey) => boolean) {
  const since = inputs.now - WINDOW_S * 1000
  const received = inputs.store.query(since, key => key.reporter === 'destination' && wanted(key))
  const taken = received.length > 0 ? received : inputs.store.query(since, wanted)
  return figuresOf(
    taken.flatMap(({ intervals }) => intervals),
    WINDOW_S,
  )
}

function endpointsOf(hostname: string, { snapshot }: ViewInputs) {
  const first = snapshot.services.get(hostname)?.ports[0]
  return (first && snapshot.endpoints.get(hostname)?.byPort.get(first.number)) ?? []
}

function concerns(resource: MeshResource, service: MeshService): boolean {
  const { namespace } = resource.metadata
  const covers = (host: string) => hostCovers(resolveHost(host, namespace), service.hostname)
  switch (resource.kind) {
    case 'VirtualService':
      return (resource.spec.hosts ?? []).some(covers)
    case 'DestinationRule':
      return covers(resource.spec.host)
    case 'Service':
    case 'ServiceEntry':
      return keyOf(refOf(resource)) === keyOf(service.ref)
    case 'PeerAuthentication':
    case 'AuthorizationPolicy':
      return (
        namespace === service.namespace &&
        (resource.spec.selector?.matchLabels === undefined ||
          selects(resource.spec.selector.matchLabels, service.selector ?? {}))
      )
    default:
      return false
  }
}

function problemsOf(service: MeshService, { problems, resources }: ViewInputs): Problem[] {
  const keys = new Set(
    resources.filter(resource => concerns(resource, service)).map(resource => keyOf(refOf(resource))),
  )
  return problems.filter(({ resource }) => resource !== undefined && keys.has(keyOf(resource)))
}

export function configRef(resource: MeshResource, withYaml: boolean): ConfigRef {
  const { kind, metadata, spec, origin, apiVersion } = resource
  return {
    kind,
    namespace: metadata.namespace,
    name: metadata.name,
    ...(origin ? { file: origin.file, line: origin.line } : {}),
    ...(withYaml
      ? { yaml: { apiVersion, kind, metadata: { name: metadata.name, namespace: metadata.namespace }, spec } }
      : {}),
  }
}

export function workloadSummaries(inputs: ViewInputs): WorkloadSummary[] {
  return [...inputs.snapshot.workloads.values()]
    .map(workload => workloadSummary(workload, inputs))
    .sort((a, b) => (a.pod < b.pod ? -1 : 1))
}

function workloadSummary(workload: Workload, inputs: ViewInputs): WorkloadSummary {
  const certificate = inputs.scraper.certificateOf(`${workload.namespace}/${workload.name}`)
  return {
    name: workload.workloadName,
    pod: workload.name,
    namespace: workload.namespace,
    app: workload.app,
    version: workload.version,
    address: workload.addresses[0] ?? '',
    ready: workload.ready,
    meshed: workload.meshed,
    proxy: proxyState(workload, inputs),
    ...(certificate ? { certificate } : {}),
    traffic: traffic(
      inputs,
      key =>
        key.destinationWorkload === workload.workloadName && key.destinationNamespace === workload.namespace,
    ),
  }
}

function proxyOf(workload: Workload, { proxies }: ViewInputs): HubProxy | undefined {
  return proxies.find(({ id }) => id.split('~')[2] === `${workload.name}.${workload.namespace}`)
}

function proxyState(workload: Workload, inputs: ViewInputs): WorkloadSummary['proxy'] {
  if (!workload.meshed) return 'NONE'
  const proxy = proxyOf(workload, inputs)
  if (!proxy) return 'NOT CONNECTED'
  const states = Object.values(proxy.types).map(({ state }) => state)
  return states.includes('NACKED') ? 'NACKED' : states.some(state => state === 'STALE') ? 'STALE' : 'SYNCED'
}

export function workloadDetail(
  namespace: string,
  pod: string,
  inputs: ViewInputs,
): WorkloadDetail | undefined {
  const workload = inputs.snapshot.workloads.get(`${namespace}/${pod}`)
  if (!workload) return undefined
  const id = nodeId(workload.namespace, workload.app)
  const services = [...inputs.snapshot.services.values()].filter(
    service =>
      service.namespace === namespace && service.selector && selects(service.selector, workload.labels),
  )
  const proxy = proxyOf(workload, inputs)
  return {
    ...workloadSummary(workload, inputs),
    serviceAccount: workload.serviceAccount,
    labels: workload.labels,
    services: services.map(({ hostname }) => hostname),
    inbound: inputs.edges.filter(({ target }) => target === id),
    outbound: inputs.edges.filter(({ source }) => source === id),
    ...(proxy ? { proxyId: proxy.id } : {}),
    config: inputs.resources
      .filter(resource => services.some(service => concerns(resource, service)))
      .map(resource => configRef(resource, true)),
  }
}

export function apiProxy(
  { id, protocol, connectedAt, types }: HubProxy,
  { workloads }: MeshSnapshot,
): ApiProxy {
  const [, ip = '', full = ''] = id.split('~')
  const dot = full.lastIndexOf('.')
  const [pod, namespace] = [full.slice(0, dot), full.slice(dot + 1)]
  return {
    id,
    workload: workloads.get(`${namespace}/${pod}`)?.workloadName ?? pod,
    pod,
    namespace,
    ip,
    protocol,
    connectedAt,
    types,
  }
}

/** A proxy's configuration with the place that each source stands at. Secrets are named, never shown. */
export function apiProxyConfig(
  config: HubProxyConfig,
  resources: ReadonlyMap<string, MeshResource>,
  certificate: { identity: string; serial: string; notAfter: number } | undefined,
): ApiProxyConfig {
  const show = (list: readonly HubResource[]) =>
    list.map(one => ({ ...one, provenance: one.provenance.map(from => placed(from, resources)) }))
  const secrets = certificate
    ? [
        {
          name: 'default',
          version: certificate.serial,
          provenance: [],
          config: {
            identity: certificate.identity,
            serial: certificate.serial,
            notAfter: new Date(certificate.notAfter).toISOString(),
            privateKey: '[held by the agent]',
          },
        },
      ]
    : []
  return {
    listeners: show(config.listeners),
    routes: show(config.routes),
    clusters: show(config.clusters),
    endpoints: show(config.endpoints),
    secrets,
  }
}

function placed(from: HubResource['provenance'][number], resources: ReadonlyMap<string, MeshResource>) {
  const origin = resources.get(keyOf(from))?.origin
  if (!origin) return from
  const { file, line } = from.path ? origin.locate(from.path) : origin
  return { ...from, file, line }
}
