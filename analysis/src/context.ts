import {
  type Gateway,
  isKubernetesGateway,
  type Kind,
  type KubernetesGateway,
  type MeshResource,
  type ObjectMeta,
} from '@seine/api'
import type { ResourceRef } from '@seine/kit'
import { isCanary } from '@seine/model'
import { HostRegistry } from './hosts.ts'
import { type AnalyzedMeshConfig, readMeshConfig } from './mesh-config.ts'
import { findWorkloads, type WorkloadLike } from './workloads.ts'

type OfKind<K extends Kind> = Extract<MeshResource, { readonly kind: K }>

/** What is assumed of the mesh beyond the objects that are given. */
export interface AnalysisOptions {
  /**
   * The objects are all there is: a running mesh. Otherwise they are files, which need not hold everything:
   * Istio's own gateways are taken to run, and what is not written down at all is not missed.
   */
  readonly complete?: boolean
  /**
   * What is wrong with a certificate and its key, both in PEM; undefined when nothing is. Given from outside: it
   * takes a clock and a parser of certificates. Without it they are only looked for.
   */
  readonly certificateProblem?: (certificate: string, key: string) => string | undefined
}

/** Everything that analyzers read. What is derived is made when it is first asked for. */
export class AnalysisContext {
  readonly options: AnalysisOptions
  readonly #byKind = new Map<Kind, MeshResource[]>()
  readonly #byName = new Map<string, MeshResource>()
  readonly #broken: ReadonlySet<string>
  #hosts: HostRegistry | undefined
  #workloads: readonly WorkloadLike[] | undefined
  #meshConfig: AnalyzedMeshConfig | undefined

  /** @param broken objects that are there and can't be read: what refers to them is not to blame. */
  constructor(
    resources: Iterable<MeshResource>,
    broken: Iterable<ResourceRef> = [],
    options: AnalysisOptions = {},
  ) {
    this.options = options
    for (const resource of resources) {
      if (IGNORED_NAMESPACES.has(placeOf(resource)) || isCanary(resource)) continue
      const all = this.#byKind.get(resource.kind)
      if (all) all.push(resource)
      else this.#byKind.set(resource.kind, [resource])
      this.#byName.set(nameKey(resource.kind, resource.metadata.namespace, resource.metadata.name), resource)
    }
    this.#broken = new Set(
      [...broken].map(({ kind, namespace, name }) => nameKey(kind, namespace || 'default', name)),
    )
  }

  /** All objects of a kind. `Gateway` gives those of both groups; see {@link gateways}. */
  all<K extends Kind>(kind: K): readonly OfKind<K>[] {
    return (this.#byKind.get(kind) ?? []) as readonly MeshResource[] as readonly OfKind<K>[]
  }

  find<K extends Kind>(kind: K, namespace: string, name: string): OfKind<K> | undefined {
    return this.#byName.get(nameKey(kind, namespace, name)) as OfKind<K> | undefined
  }

  /** Whether an object is there, even if it can't be read. */
  exists(kind: Kind, namespace: string, name: string): boolean {
    return this.#byName.has(nameKey(kind, namespace, name)) || this.isBroken(kind, namespace, name)
  }

  /** Whether an object is there and can't be read. */
  isBroken(kind: Kind, namespace: string, name: string): boolean {
    return this.#broken.has(nameKey(kind, namespace, name))
  }

  /** Istio's Gateways. */
  get gateways(): Gateway[] {
    return this.all('Gateway').filter((gateway): gateway is Gateway => !isKubernetesGateway(gateway))
  }

  /** The Gateway API's Gateways. */
  get kubernetesGateways(): KubernetesGateway[] {
    return this.all('Gateway').filter(isKubernetesGateway)
  }

  /** The hosts that can be called, with who sees them. */
  get hosts(): HostRegistry {
    this.#hosts ??= new HostRegistry(this)
    return this.#hosts
  }

  /** All that runs, or will when its template is used. */
  get workloads(): readonly WorkloadLike[] {
    this.#workloads ??= findWorkloads(this)
    return this.#workloads
  }

  /** Whether workloads are written down at all. Files with nothing but policies say nothing of what runs. */
  get knowsWorkloads(): boolean {
    return (
      this.options.complete === true ||
      this.workloads.some(({ spec, assumed }) => spec !== undefined && !assumed)
    )
  }

  /** Whether namespaces are written down at all. */
  get knowsNamespaces(): boolean {
    return this.options.complete === true || this.all('Namespace').length > 0
  }

  get meshConfig(): AnalyzedMeshConfig {
    this.#meshConfig ??= readMeshConfig(this.all('ConfigMap'))
    return this.#meshConfig
  }

  namespace(name: string): ObjectMeta | undefined {
    return this.find('Namespace', '', name)?.metadata
  }
}

/** Namespaces of Kubernetes itself, which no mesh has to do with. */
const IGNORED_NAMESPACES: ReadonlySet<string> = new Set([
  'kube-system',
  'kube-public',
  'kube-node-lease',
  'local-path-storage',
])

function placeOf({ kind, metadata }: MeshResource): string {
  return kind === 'Namespace' ? metadata.name : metadata.namespace
}

function nameKey(kind: Kind | string, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`
}
