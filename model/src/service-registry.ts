import { keyOf, refOf, type Service, type ServiceEntry } from '@seine/api'
import { formatRef, type Problem } from '@seine/kit'
import { AddressAllocator } from './address-allocator.ts'
import { byAge } from './age.ts'
import { fromKubernetesService, fromServiceEntry, type MeshService } from './service.ts'

/** An object that asks for a host, and the service that it makes of it. */
interface Claim {
  readonly owner: Service | ServiceEntry
  readonly service: MeshService
}

/**
 * The services of the mesh by host. Where several objects claim one, the oldest has it, a Kubernetes Service
 * before a ServiceEntry of the same age; the others are reported.
 */
export class ServiceRegistry {
  readonly #allocator = new AddressAllocator()
  readonly #claims = new Map<string, readonly Claim[]>()
  readonly #hostsOf = new Map<string, readonly string[]>()
  readonly #byNamespace = new Map<string, Set<string>>()
  readonly #contested = new Set<string>()

  /** @returns the hosts that may have another service now. */
  add(owner: Service | ServiceEntry): readonly string[] {
    const allocate = (host: string) => this.#allocator.allocate(host)
    const services =
      owner.kind === 'Service' ? [fromKubernetesService(owner, allocate)] : fromServiceEntry(owner, allocate)
    const hostnames = services.map(({ hostname }) => hostname)
    this.#hostsOf.set(keyOf(refOf(owner)), hostnames)
    for (const service of services) {
      const { hostname } = service
      this.#put(hostname, [...(this.#claims.get(hostname) ?? []), { owner, service }])
    }
    return hostnames
  }

  /** @returns the hosts that may have another service now, or none. */
  remove(owner: Service | ServiceEntry): readonly string[] {
    const key = keyOf(refOf(owner))
    const hostnames = this.#hostsOf.get(key) ?? []
    this.#hostsOf.delete(key)
    for (const hostname of hostnames) {
      const claims = this.#claims.get(hostname) ?? []
      this.#put(
        hostname,
        claims.filter(claim => keyOf(claim.service.ref) !== key),
      )
    }
    return hostnames
  }

  get(hostname: string): MeshService | undefined {
    return this.#claims.get(hostname)?.[0]?.service
  }

  /** The hosts of the services of a namespace. */
  of(namespace: string): Iterable<string> {
    return this.#byNamespace.get(namespace) ?? []
  }

  /** Objects whose hosts are another's. */
  get problems(): Problem[] {
    return [...this.#contested].sort().flatMap(hostname => {
      const [winner, ...losers] = this.#claims.get(hostname) ?? []
      return winner ? losers.map(({ owner }) => collision(hostname, winner.service, owner)) : []
    })
  }

  #put(hostname: string, claims: readonly Claim[]): void {
    const before = this.get(hostname)
    if (before) this.#byNamespace.get(before.namespace)?.delete(hostname)
    const sorted = [...claims].sort(byPrecedence)
    if (sorted.length > 0) this.#claims.set(hostname, sorted)
    else {
      this.#claims.delete(hostname)
      this.#allocator.release(hostname)
    }
    if (sorted.length > 1) this.#contested.add(hostname)
    else this.#contested.delete(hostname)
    const after = this.get(hostname)
    if (!after) return
    const hosts = this.#byNamespace.get(after.namespace) ?? new Set<string>()
    this.#byNamespace.set(after.namespace, hosts.add(hostname))
  }
}

function byPrecedence(a: Claim, b: Claim): number {
  const kinds = Number(a.owner.kind !== 'Service') - Number(b.owner.kind !== 'Service')
  const ages = byAge(unnamed(a), unnamed(b))
  return ages || kinds || byAge(a.owner, b.owner)
}

/** The claim's owner with nothing but its age. */
function unnamed({ owner }: Claim): { metadata: Service['metadata'] } {
  return { metadata: { ...owner.metadata, namespace: '', name: '' } }
}

function collision(hostname: string, winner: MeshService, loser: Service | ServiceEntry): Problem {
  const path = loser.kind === 'Service' ? 'metadata.name' : 'spec.hosts'
  return {
    severity: 'error',
    code: 'host-collision',
    message: `${hostname} is already the host of ${formatRef(winner.ref)}, which is used; remove one of them`,
    resource: refOf(loser),
    path,
    ...(loser.origin ? { position: loser.origin.locate(path) } : {}),
  }
}
