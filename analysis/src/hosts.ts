import type { MeshResource, Service, ServiceEntry } from '@seine/api'
import { hostCovers, resolveHost, serviceHostname } from '@seine/model'
import type { AnalysisContext } from './context.ts'
import type { Labels } from './labels.ts'

/** A host that can be called. */
export interface KnownHost {
  readonly host: string
  readonly ports: readonly number[]
  /** The labels of the workloads behind it; undefined for a service without a selector. */
  readonly selector: Labels | undefined
  readonly resource: MeshResource
  /** Namespaces that see it, or `*`. */
  readonly scopes: readonly string[]
}

/** The hosts of Services and ServiceEntries. */
export class HostRegistry {
  readonly #byHost = new Map<string, KnownHost[]>()
  readonly #wildcards: KnownHost[] = []
  readonly #context: AnalysisContext

  constructor(context: AnalysisContext) {
    this.#context = context
    for (const service of context.all('Service')) this.#add(ofService(service))
    for (const entry of context.all('ServiceEntry')) for (const host of ofEntry(entry)) this.#add(host)
  }

  #add(host: KnownHost): void {
    if (host.host.startsWith('*')) this.#wildcards.push(host)
    const same = this.#byHost.get(host.host)
    if (same) same.push(host)
    else this.#byHost.set(host.host, [host])
  }

  /**
   * The host that an object of `namespace` means.
   *
   * @param exportTo where the object holds; it is enough that its host is seen in one of these namespaces.
   * @returns the host; undefined when nobody who uses the object sees one.
   */
  find(text: string, namespace: string, exportTo: readonly string[] | undefined): KnownHost | undefined {
    const wanted = resolveHost(text, namespace)
    const from = new Set(
      (exportTo?.length ? exportTo : ['.']).map(scope => (scope === '.' ? namespace : scope)),
    )
    if (from.has('*')) from.add(namespace)
    const isSeen = ({ scopes }: KnownHost) => scopes.some(scope => scope === '*' || from.has(scope))
    return (
      this.#byHost.get(wanted)?.find(isSeen) ??
      this.#wildcards.find(known => isSeen(known) && hostCovers(known.host, wanted))
    )
  }

  /** Whether some host is covered by a wildcard. */
  someWithin(wildcard: string): boolean {
    for (const host of this.#byHost.keys()) if (hostCovers(wildcard, host)) return true
    return false
  }

  /** Whether a host belongs to a Service that is there and can't be read. */
  isBroken(text: string, namespace: string): boolean {
    const [, name, of] = /^([^.]+)\.([^.]+)\.svc\.cluster\.local$/.exec(resolveHost(text, namespace)) ?? []
    return name !== undefined && of !== undefined && this.#context.isBroken('Service', of, name)
  }
}

function ofService(service: Service): KnownHost {
  const { metadata, spec } = service
  return {
    host: serviceHostname(metadata.name, metadata.namespace),
    ports: (spec.ports ?? []).map(({ port }) => port),
    selector: spec.selector && Object.keys(spec.selector).length > 0 ? spec.selector : undefined,
    resource: service,
    scopes: scopesOf(metadata.annotations['networking.istio.io/exportTo']?.split(','), metadata.namespace),
  }
}

function ofEntry(entry: ServiceEntry): KnownHost[] {
  return entry.spec.hosts.map(host => ({
    host,
    ports: (entry.spec.ports ?? []).map(({ number }) => number),
    selector: entry.spec.workloadSelector?.labels,
    resource: entry,
    scopes: scopesOf(entry.spec.exportTo, entry.metadata.namespace),
  }))
}

/** The namespaces that `exportTo` means, `*` for all of them. */
export function scopesOf(exportTo: readonly string[] | undefined, namespace: string): string[] {
  const scopes = (exportTo ?? []).map(scope => scope.trim()).map(scope => (scope === '.' ? namespace : scope))
  return scopes.length === 0 || scopes.includes('*') ? ['*'] : [...new Set(scopes)]
}
