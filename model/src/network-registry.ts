import { canonicalIp, formatPath, keyOf, type MeshNetworks, noMeshNetworks } from '@seine/api'
import type { Problem, ResourceRef } from '@seine/kit'
import type { Cause } from './gateway-api/derived.ts'
import { canonicalHost } from './host.ts'
import {
  DEFAULT_GATEWAY_PORT,
  LABEL_PATH,
  NetworkAssignment,
  type NetworkGateway,
  type Networks,
} from './networks.ts'
import type { MeshService } from './service.ts'

const NONE: ReadonlySet<string> = new Set()

/** The networks as they are written down, and where. */
export interface WrittenNetworks {
  readonly networks: MeshNetworks
  readonly ref: ResourceRef | undefined
}

/** The networks of a mesh about which nothing is written. */
export const noNetworks: Networks = {
  gateways: new Map(),
  assignment: new NetworkAssignment(noMeshNetworks, undefined, undefined, undefined),
}

/**
 * Which networks there are, and what leads into each: what the settings say, and Services with the label of a network.
 */
export class NetworkRegistry {
  #networks = noNetworks
  #written: WrittenNetworks = { networks: noMeshNetworks, ref: undefined }
  /** The services that have external addresses, or say that they are gateways, by host. */
  readonly #edges = new Map<string, MeshService>()
  #problems: readonly Problem[] = []
  /** Whether something came in by which gateways may be others. */
  #isStale = false

  get networks(): Networks {
    return this.#networks
  }

  /** Gateways that nobody can go by. */
  get problems(): readonly Problem[] {
    return this.#problems
  }

  /** Takes in what is written, and the root namespace with its labels. @returns whether workloads may be in other networks. */
  assign(written: WrittenNetworks, label: string | undefined, namespace: ResourceRef | undefined): boolean {
    this.#isStale ||= written !== this.#written
    this.#written = written
    const assignment = new NetworkAssignment(written.networks, written.ref, label, namespace)
    if (assignment.key === this.#networks.assignment.key) return false
    this.#networks = { ...this.#networks, assignment }
    return true
  }

  /** Takes in what a host is now. */
  writeService(hostname: string, service: MeshService | undefined): void {
    this.#isStale ||= service?.edge !== undefined || this.#edges.has(hostname) || this.#isNamed(hostname)
    if (service?.edge) this.#edges.set(hostname, service)
    else this.#edges.delete(hostname)
  }

  /** Finds the gateways. @returns the networks that have other ones than before. */
  refresh(find: (hostname: string) => MeshService | undefined): ReadonlySet<string> {
    if (!this.#isStale) return NONE
    this.#isStale = false
    const problems: Problem[] = []
    const found = [...this.#fromSettings(find, problems), ...this.#fromServices(problems)]
    this.#problems = problems
    const gateways = byNetwork(found)
    const before = this.#networks.gateways
    const text = (list: readonly NetworkGateway[] | undefined) => JSON.stringify(list ?? [])
    const changed = [...new Set([...before.keys(), ...gateways.keys()])].filter(
      network => text(before.get(network)) !== text(gateways.get(network)),
    )
    if (changed.length > 0) this.#networks = { ...this.#networks, gateways }
    return new Set(changed)
  }

  #isNamed(hostname: string): boolean {
    const all = Object.values(this.#written.networks.networks).flatMap(({ gateways = [] }) => gateways)
    return all.some(({ registryServiceName: name }) => name !== undefined && canonicalHost(name) === hostname)
  }

  *#fromSettings(
    find: (hostname: string) => MeshService | undefined,
    problems: Problem[],
  ): Iterable<NetworkGateway> {
    const { networks, ref } = this.#written
    if (!ref) return
    for (const [network, { gateways = [] }] of Object.entries(networks.networks)) {
      for (const [index, { address, registryServiceName, port, locality = '' }] of gateways.entries()) {
        const at = ['data', 'meshNetworks', 'networks', network, 'gateways', index]
        if (address !== undefined) {
          const cause = { ...ref, path: formatPath([...at, 'address']) }
          yield { network, address: canonicalIp(address) ?? address, port, locality, cause }
          continue
        }
        const hostname = canonicalHost(registryServiceName ?? '')
        const cause = { ...ref, path: formatPath([...at, 'registryServiceName']) }
        const service = find(hostname)
        const wrong = service ? uncallable(service, port) : 'there is no such service'
        if (wrong)
          problems.push(problemOf(cause, `${hostname} is no gateway of the network ${network}: ${wrong}`))
        else
          for (const one of service?.edge?.addresses ?? [])
            yield { network, address: one.address, port, locality, cause }
      }
    }
  }

  *#fromServices(problems: Problem[]): Iterable<NetworkGateway> {
    for (const service of [...this.#edges.values()].sort((a, b) => (keyOf(a.ref) < keyOf(b.ref) ? -1 : 1))) {
      const { edge, ref } = service
      const { network, gatewayPort } = edge ?? {}
      if (!network) continue
      const cause: Cause = { ...ref, path: LABEL_PATH }
      const port = gatewayPort === undefined ? DEFAULT_GATEWAY_PORT : Number(gatewayPort)
      const wrong = uncallable(service, port)
      if (wrong) problems.push(problemOf(cause, `it is no gateway of the network ${network}: ${wrong}`))
      else
        for (const { address } of edge?.addresses ?? []) yield { network, address, port, locality: '', cause }
    }
  }
}

/** Why other networks can't go by a service; undefined where they can. */
function uncallable({ ports, edge }: MeshService, port: number): string | undefined {
  if (!ports.some(({ number }) => number === port))
    return `it has no port ${port} that is one of TCP; the label networking.istio.io/gatewayPort of the Service, or port in meshNetworks, names another one`
  if (edge?.addresses.length) return undefined
  return edge?.names.length
    ? `its load balancer has a name and no address (${edge.names.join(', ')}), and names are not looked up: write its addresses into spec.externalIPs, or into gateways of meshNetworks`
    : 'it has no external address: type LoadBalancer with status.loadBalancer or spec.loadBalancerIP gives it one, or spec.externalIPs'
}

function problemOf({ path, ...resource }: Cause, message: string): Problem {
  return { severity: 'warning', code: 'network-gateway', message, resource, path }
}

/** Each address and port of a network once, in their order. */
function byNetwork(all: Iterable<NetworkGateway>): Map<string, readonly NetworkGateway[]> {
  const found = new Map<string, Map<string, NetworkGateway>>()
  for (const gateway of all) {
    const { network, address, port } = gateway
    const known = found.get(network) ?? new Map<string, NetworkGateway>()
    if (!known.has(`${address} ${port}`)) known.set(`${address} ${port}`, gateway)
    found.set(network, known)
  }
  const sorted = (gateways: Iterable<NetworkGateway>) =>
    [...gateways].sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port))
  return new Map([...found].map(([network, gateways]) => [network, sorted(gateways.values())]))
}
