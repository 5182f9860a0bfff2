import {
  type AuthorizationPolicy,
  type ConfigMap,
  keyOf,
  type MeshResource,
  type PeerAuthentication,
  refOf,
} from '@seine/api'
import {
  destinationsOf,
  hasProxy,
  hostCovers,
  type MeshService,
  resolveHost,
  selects,
  type Workload,
} from '@seine/model'
import type { MeshIndex } from './mesh-index.ts'

/** One way in which a resource shapes a service or a workload. */
export interface Reason {
  readonly message: string
  /** The field that says so. */
  readonly path?: string
}

/** How a resource shapes calls to a service; empty when it does not. */
export function reasonsForService(resource: MeshResource, service: MeshService, index: MeshIndex): Reason[] {
  switch (resource.kind) {
    case 'PeerAuthentication':
    case 'AuthorizationPolicy':
      return policyReasons(resource, serversOf(service, index), index.snapshot.config.rootNamespace)
    case 'WorkloadEntry':
      return index.workloadsOf(service.hostname).some(({ ref }) => keyOf(ref) === keyOf(refOf(resource)))
        ? [{ message: 'is an endpoint of it', path: 'spec.address' }]
        : []
    case 'WorkloadGroup':
      return index
        .workloadsOf(service.hostname)
        .some(({ group }) => group && keyOf(group) === keyOf(refOf(resource)))
        ? [{ message: 'workloads of it are endpoints', path: 'spec.template' }]
        : []
    case 'ConfigMap':
      return settingsReasons(resource, index)
    default:
      return routingReasons(resource, service)
  }
}

/** How a resource shapes a workload: its sidecar, or calls to a service that it serves. */
export function reasonsForWorkload(resource: MeshResource, workload: Workload, index: MeshIndex): Reason[] {
  switch (resource.kind) {
    case 'PeerAuthentication':
    case 'AuthorizationPolicy':
      return hasProxy(workload)
        ? policyReasons(resource, [workload], index.snapshot.config.rootNamespace)
        : []
    case 'Pod':
    case 'WorkloadEntry':
      return keyOf(workload.ref) === keyOf(refOf(resource)) ? [{ message: 'describes it' }] : []
    case 'WorkloadGroup':
      return workload.group && keyOf(workload.group) === keyOf(refOf(resource))
        ? [{ message: 'is what it registered by', path: 'spec.template' }]
        : []
    case 'ConfigMap':
      return settingsReasons(resource, index)
    default:
      return index.servicesOf(workload).flatMap(service => routingReasons(resource, service))
  }
}

/** The mesh's settings lie in the ConfigMap `istio` or `seine` of the root namespace, or of Seine's own. */
function settingsReasons({ metadata, spec }: ConfigMap, index: MeshIndex): Reason[] {
  const namespaces = [index.snapshot.config.rootNamespace, 'seine-system']
  return ['istio', 'seine'].includes(metadata.name) &&
    namespaces.includes(metadata.namespace) &&
    spec.data?.['mesh'] !== undefined
    ? [{ message: 'holds the settings of the mesh', path: 'data.mesh' }]
    : []
}

function routingReasons(resource: MeshResource, service: MeshService): Reason[] {
  const { namespace, labels } = resource.metadata
  const { hostname } = service
  switch (resource.kind) {
    case 'VirtualService':
      return [
        ...(resource.spec.hosts ?? []).flatMap((host, i) =>
          hostCovers(resolveHost(host, namespace), hostname)
            ? [{ message: `routes calls to ${hostname}`, path: `spec.hosts[${i}]` }]
            : [],
        ),
        ...destinationsOf(resource)
          .filter(({ host }) => host === hostname)
          .map(({ path }) => ({ message: `sends calls to ${hostname}`, path })),
      ]
    case 'DestinationRule':
      return hostCovers(resolveHost(resource.spec.host, namespace), hostname)
        ? [{ message: `applies to calls to ${hostname}`, path: 'spec.host' }]
        : []
    case 'Service':
    case 'ServiceEntry':
      return keyOf(refOf(resource)) === keyOf(service.ref) ? [{ message: `declares ${hostname}` }] : []
    case 'EndpointSlice':
      return namespace === service.namespace &&
        service.ref.kind === 'Service' &&
        labels['kubernetes.io/service-name'] === service.name
        ? [{ message: `lists endpoints of ${hostname}` }]
        : []
    default:
      return []
  }
}

/** What policies are matched with: the workloads with sidecars, or what the selector says of those to come. */
type Selected = Pick<Workload, 'namespace' | 'labels'> & Partial<Pick<Workload, 'workloadName'>>

function serversOf({ hostname, namespace, selector }: MeshService, index: MeshIndex): Selected[] {
  const workloads = index.workloadsOf(hostname)
  if (workloads.length > 0) return workloads.filter(hasProxy)
  return selector ? [{ namespace, labels: selector }] : []
}

/**
 * Whom a policy holds for, as Istio has it: in the root namespace the whole mesh, in another that namespace, and
 * there whom its selector selects. A PeerAuthentication with a selector holds in its own namespace only.
 */
function policyReasons(
  { kind, metadata, spec }: PeerAuthentication | AuthorizationPolicy,
  workloads: readonly Selected[],
  rootNamespace: string,
): Reason[] {
  const labels = spec.selector?.matchLabels
  const hasSelector = Object.keys(labels ?? {}).length > 0
  const isRoot = metadata.namespace === rootNamespace
  const reachesAll = isRoot && (kind === 'AuthorizationPolicy' || !hasSelector)
  const held = workloads.filter(
    workload => (reachesAll || workload.namespace === metadata.namespace) && selects(labels, workload.labels),
  )
  if (held.length === 0) return []
  if (!hasSelector)
    return [{ message: isRoot ? 'holds for the whole mesh' : `holds for namespace ${metadata.namespace}` }]
  const names = [...new Set(held.flatMap(({ workloadName }) => workloadName ?? []))].sort()
  return [
    {
      message: names.length > 0 ? `selects ${names.join(', ')}` : 'selects its workloads',
      path: 'spec.selector',
    },
  ]
}
