import { isHttp, type MeshService, type MeshSnapshot } from '@seine/model'

/** The hosts of the mesh, parted by whether it matters who looks at them. */
export interface CommonHosts {
  /** Of services that every client without a Sidecar sees alike, and that speak nothing but HTTP: by port. */
  readonly byPort: ReadonlyMap<number, ReadonlySet<string>>
  /** Of all other services. */
  readonly others: readonly string[]
}

const known = new WeakMap<MeshSnapshot['services'], CommonHosts>()

/** Parts the hosts of a mesh's services; once for as long as the services are the same. */
export function commonHosts({ services }: Pick<MeshSnapshot, 'services'>): CommonHosts {
  const found = known.get(services) ?? parted(services)
  known.set(services, found)
  return found
}

function parted(services: MeshSnapshot['services']): CommonHosts {
  const byPort = new Map<number, Set<string>>()
  const others: string[] = []
  for (const [hostname, service] of services) {
    if (!isCommon(service)) {
      others.push(hostname)
      continue
    }
    for (const { number } of service.ports) {
      const hosts = byPort.get(number)
      if (hosts) hosts.add(hostname)
      else byPort.set(number, new Set([hostname]))
    }
  }
  return { byPort, others }
}

function isCommon({ exportTo, ports }: MeshService): boolean {
  return (
    exportTo.includes('*') &&
    ports.length > 0 &&
    ports.every(({ protocol }) => isHttp(protocol) && protocol !== 'auto')
  )
}
