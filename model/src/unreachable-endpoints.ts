import { keyOf } from '@seine/api'
import { formatRef, type Problem, type ResourceRef } from '@seine/kit'
import type { Endpoint, ServiceEndpoints } from './endpoint.ts'
import type { NetworkGateway } from './networks.ts'
import type { MeshService } from './service.ts'
import type { ChangeSet } from './snapshot.ts'

/** How many workloads a message names. */
const NAMED = 3

/**
 * Services with endpoints that clients of other networks can't reach: those that take no mutual TLS, since the gateway of a
 * network sees nothing of a connection but the server name in its TLS, and those to which clients go by their own addresses.
 */
export class UnreachableEndpoints {
  readonly #byHost = new Map<string, readonly Problem[]>()
  /** The networks that clients are in. */
  #clients: readonly string[] = []

  /** What is wrong, in the order of hosts. */
  get problems(): readonly Problem[] {
    return [...this.#byHost].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, problems]) => problems)
  }

  /**
   * The hosts about which a change may say something else.
   *
   * @param clients the networks that workloads with proxies are in now
   */
  touched(
    { endpoints, networks }: Pick<ChangeSet, 'endpoints' | 'networks'>,
    all: ReadonlyMap<string, ServiceEndpoints>,
    clients: readonly string[],
  ): Iterable<string> {
    const areSame = clients.join('\n') === this.#clients.join('\n')
    this.#clients = clients
    if (networks.size === 0 && areSame) return endpoints
    const found = new Set(endpoints)
    for (const [hostname, one] of all) if (one.networks.length > 0) found.add(hostname)
    return found
  }

  /** Looks at a host again. */
  write(
    hostname: string,
    service: MeshService | undefined,
    endpoints: ServiceEndpoints | undefined,
    gateways: ReadonlyMap<string, readonly NetworkGateway[]>,
  ): void {
    const networks =
      endpoints?.networks.filter(
        network => gateways.has(network) && this.#clients.some(other => other !== network),
      ) ?? []
    const problems =
      service && endpoints && networks.length > 0
        ? networks.flatMap(network => problemOf(hostname, service, endpoints, network) ?? [])
        : []
    if (problems.length > 0) this.#byHost.set(hostname, problems)
    else this.#byHost.delete(hostname)
  }
}

function problemOf(
  hostname: string,
  service: MeshService,
  { byPort }: ServiceEndpoints,
  network: string,
): Problem | undefined {
  // Gateways are there for whoever comes from outside.
  const all = [...byPort.values()]
    .flat()
    .filter(({ membership, workload }) => membership?.network === network && !workload?.gateway)
  // Who calls a headless service goes to its endpoints by their own addresses.
  const unreached = service.headless ? all : all.filter(({ meshed }) => !meshed)
  if (unreached.length === 0) return undefined
  const why = service.headless
    ? 'it is a headless service, to whose endpoints clients go by their own addresses; give it a ClusterIP'
    : service.external
      ? 'it is a service outside of the mesh, to which no mutual TLS is spoken, by which alone gateways of networks pass connections on'
      : 'no mutual TLS is taken there, by which alone gateways of networks pass connections on; give what runs there a sidecar, and let no PeerAuthentication disable it'
  return {
    severity: 'warning',
    code: 'unreachable-endpoints',
    message: `clients of other networks can't reach ${namesOf(unreached)} of ${hostname} in the network ${network}: ${why}`,
    resource: service.ref,
  }
}

function namesOf(endpoints: readonly Endpoint[]): string {
  const who = new Map<string, string>()
  for (const { workload, address } of endpoints) {
    const ref: ResourceRef | undefined = workload?.ref
    who.set(ref ? keyOf(ref) : address, ref ? formatRef(ref) : address || 'one without an address')
  }
  const names = [...who.values()].sort()
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : ''
  return `${names.slice(0, NAMED).join(', ')}${more}`
}
