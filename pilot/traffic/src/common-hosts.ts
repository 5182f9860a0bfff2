import { isHttp, type MeshService, type MeshSnapshot } from '@seine/model'
import { type AddressFamilies, endpointsOfHost, reachableService } from './address-families.ts'
import { Egress, type SeenPort } from './egress.ts'
import type { IndexedSnapshot } from './indexed-snapshot.ts'
import { OnDemandTargets } from './listeners/on-demand.ts'
import { isTarget, type ListenerTarget, listenerTargets } from './listeners/targets.ts'
import { tcpRoutings } from './listeners/tcp-routing.ts'

/**
 * The hosts of the mesh, parted by whether it matters who looks at them. With them a scope is made without a look at each
 * service; what changes later, each scope keeps for itself.
 */
export interface CommonHosts {
  /** Of services that every client without a Sidecar sees alike: by port with HTTP. */
  readonly byPort: ReadonlyMap<number, ReadonlySet<string>>
  /** The targets of those services, by hostname. */
  readonly targets: ReadonlyMap<string, readonly ListenerTarget[]>
  /** The same targets, to be copied. */
  readonly onDemand: OnDemandTargets
  /** Of all other services. */
  readonly others: readonly string[]
}

type Inputs = Pick<IndexedSnapshot, 'snapshot' | 'rules' | 'virtualServices'>

interface Known {
  readonly inputs: Inputs
  readonly byFamilies: Map<AddressFamilies, CommonHosts>
}

const known = new WeakMap<MeshSnapshot['services'], Known>()

/** Parts the hosts of a mesh's services; once for as long as services, routes and rules are the same. */
export function commonHosts(indexed: Inputs, families: AddressFamilies): CommonHosts {
  const { services } = indexed.snapshot
  const last = known.get(services)
  const isSame =
    last?.inputs.rules === indexed.rules && last.inputs.virtualServices === indexed.virtualServices
  const current = last && isSame ? last : { inputs: indexed, byFamilies: new Map() }
  known.set(services, current)
  const found = current.byFamilies.get(families) ?? parted(indexed, families)
  current.byFamilies.set(families, found)
  return found
}

function parted(indexed: Inputs, families: AddressFamilies): CommonHosts {
  const byPort = new Map<number, Set<string>>()
  const targets = new Map<string, readonly ListenerTarget[]>()
  const onDemand = new OnDemandTargets()
  const others: string[] = []
  for (const [hostname, service] of indexed.snapshot.services) {
    const common = isAlike(service) ? targetsForAll(indexed, service, families) : undefined
    if (!common) {
      others.push(hostname)
      continue
    }
    for (const { number, protocol } of service.ports) {
      if (!isHttp(protocol)) continue
      const hosts = byPort.get(number)
      if (hosts) hosts.add(hostname)
      else byPort.set(number, new Set([hostname]))
    }
    if (common.length > 0) targets.set(hostname, common)
    for (const target of common) onDemand.add(target)
  }
  return { byPort, targets, onDemand, others }
}

/** Whether all namespaces see it, with the same ports. Of one that is looked up by each request, scopes take note themselves. */
function isAlike({ exportTo, ports, resolution }: MeshService): boolean {
  return exportTo.includes('*') && ports.length > 0 && resolution !== 'dynamic-dns'
}

const NO_TARGETS: readonly ListenerTarget[] = []
const everything = new Egress(undefined, '', 'dual')

/** The targets of a service where they are the same for all clients with these families of addresses. */
function targetsForAll(
  { snapshot, rules, virtualServices }: Inputs,
  service: MeshService,
  families: AddressFamilies,
): readonly ListenerTarget[] | undefined {
  const reachable = reachableService(service, families)
  const ports = everything.portsOf(reachable)
  if (!ports.some(isTarget)) return NO_TARGETS
  const { hostname, addresses } = service
  const isReachable = reachable.addresses.length > 0 || addresses.length === 0
  const isOwn =
    isParticular(service) || rules.covering(hostname).length > 0 || virtualServices.concerns(hostname)
  return isReachable && !isOwn ? commonTargets(snapshot, reachable, ports, families) : undefined
}

/** Whether a service's targets follow from more than the service, routes and rules. */
export function isParticular({ headless, externalName }: MeshService): boolean {
  return headless || externalName !== undefined
}

const made = new WeakMap<MeshService, readonly ListenerTarget[]>()

/** The targets of a service where nothing but the service decides about them; the same objects each time. */
export function commonTargets(
  snapshot: MeshSnapshot,
  service: MeshService,
  ports: readonly SeenPort[],
  families: AddressFamilies,
): readonly ListenerTarget[] {
  const found = made.get(service) ?? make(snapshot, service, ports, families)
  made.set(service, found)
  return found
}

function make(
  snapshot: MeshSnapshot,
  service: MeshService,
  ports: readonly SeenPort[],
  families: AddressFamilies,
): readonly ListenerTarget[] {
  const endpoints = endpointsOfHost(snapshot, service.hostname, families)
  const client = { namespace: '', sourceLabels: {}, virtualService: undefined, ruleFor: () => undefined }
  return listenerTargets(service, ports, endpoints, port =>
    tcpRoutings({ ...client, snapshot, service, port }),
  )
}
