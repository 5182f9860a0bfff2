import type { ConfigMap, MeshResource, Secret } from '@seine/api'
import type { MeshService } from '../service.ts'
import { isCertificates } from './certificates.ts'
import type { Incremental, Reader } from './incremental.ts'
import {
  type GatewayApiObject,
  isOfGatewayApi,
  isRoute,
  objectKey,
  type Route,
  type RouteKind,
} from './objects.ts'

/** The label of a Gateway's workloads, as the Gateway API has it. */
export const GATEWAY_NAME_LABEL = 'gateway.networking.k8s.io/gateway-name'

/** What of a service matters here. */
export interface ServiceFacts {
  readonly hostname: string
  readonly ports: readonly number[]
  /** Those of its ports on which TLS may be spoken, or found out. */
  readonly tlsPorts: readonly number[]
  /** Ports by name, for policies that name one. */
  readonly portNames: Readonly<Record<string, number>>
  readonly addresses: readonly string[]
}

/** What of a secret matters here: whether it can be a server's certificate. */
export interface SecretFacts {
  /** What is wrong with it; undefined when nothing is. */
  readonly problem: string | undefined
}

/** What of a ConfigMap matters here: the certificates in it. */
export interface ConfigMapFacts {
  /** `ca.crt`, in PEM. */
  readonly authorities: string | undefined
}

type IndexName = 'routesOf' | 'routesTo' | 'setsOf' | 'grantsIn' | 'policiesOf' | 'servicesOf'

/** Keeps what queries read: the objects, and lists of those that refer to something. */
export class GatewayInputs {
  readonly #incremental: Incremental
  readonly #objects = new Map<string, GatewayApiObject>()
  readonly #services = new Map<string, MeshService>()
  readonly #lists = new Map<string, Set<string>>()

  constructor(incremental: Incremental) {
    this.#incremental = incremental
  }

  /** The objects of the Gateway API, by key. */
  get objects(): ReadonlyMap<string, GatewayApiObject> {
    return this.#objects
  }

  /** Whether a list holds anything. */
  has(index: IndexName, name: string): boolean {
    return this.#lists.has(`${index} ${name}`)
  }

  /** Takes an object in. @returns whether it can matter here. */
  write(resource: MeshResource): boolean {
    const { namespace, name } = resource.metadata
    if (resource.kind === 'Secret')
      this.#incremental.put(`secret ${namespace}/${name}`, { problem: secretProblem(resource) })
    else if (resource.kind === 'ConfigMap')
      this.#incremental.put(`config ${namespace}/${name}`, { authorities: authoritiesOf(resource) })
    else if (resource.kind === 'Namespace')
      this.#incremental.put(`namespace ${name}`, resource.metadata.labels)
    else if (isOfGatewayApi(resource)) this.#writeObject(resource)
    else return false
    return true
  }

  /** The object is gone, or about to be written anew. */
  remove(resource: MeshResource): boolean {
    const { namespace, name } = resource.metadata
    if (resource.kind === 'Secret') this.#incremental.put(`secret ${namespace}/${name}`, undefined)
    else if (resource.kind === 'ConfigMap') this.#incremental.put(`config ${namespace}/${name}`, undefined)
    else if (resource.kind === 'Namespace') this.#incremental.put(`namespace ${name}`, undefined)
    else if (isOfGatewayApi(resource)) this.#removeObject(resource)
    else return false
    return true
  }

  /** The object says the same at another place. */
  moved(resource: MeshResource): void {
    if (!isOfGatewayApi(resource)) return
    this.#objects.set(keyOfObject(resource), resource)
  }

  /** A service of the registry as it is now; undefined when it is gone. */
  writeService(hostname: string, service: MeshService | undefined): void {
    const old = this.#services.get(hostname)
    const before = old && gatewayOf(old)
    const after = service && gatewayOf(service)
    if (service) this.#services.set(hostname, service)
    else this.#services.delete(hostname)
    this.#incremental.put(`service ${hostname}`, service && factsOf(service))
    if (before !== undefined && before !== after) this.#unlist('servicesOf', before, hostname)
    if (after !== undefined && before !== after) this.#list('servicesOf', after, hostname)
  }

  #writeObject(resource: GatewayApiObject): void {
    const key = keyOfObject(resource)
    const old = this.#objects.get(key)
    this.#objects.set(key, resource)
    const { apiVersion, kind, metadata, spec } = resource
    this.#incremental.put(`object ${key}`, { apiVersion, kind, metadata, spec })
    const lists = listsOf(resource)
    for (const [index, name] of old ? listsOf(old) : [])
      if (!lists.some(([other, own]) => other === index && own === name)) this.#unlist(index, name, key)
    for (const [index, name] of lists) this.#list(index, name, key)
  }

  #removeObject(resource: GatewayApiObject): void {
    const key = keyOfObject(resource)
    const old = this.#objects.get(key)
    if (!old) return
    this.#objects.delete(key)
    this.#incremental.put(`object ${key}`, undefined)
    for (const [index, name] of listsOf(old)) this.#unlist(index, name, key)
  }

  #list(index: IndexName, name: string, member: string): void {
    const id = `${index} ${name}`
    const members = this.#lists.get(id) ?? new Set()
    this.#lists.set(id, members.add(member))
    this.#incremental.put(id, [...members].sort())
  }

  #unlist(index: IndexName, name: string, member: string): void {
    const id = `${index} ${name}`
    const members = this.#lists.get(id)
    if (!members?.delete(member)) return
    if (members.size === 0) this.#lists.delete(id)
    this.#incremental.put(id, members.size === 0 ? undefined : [...members].sort())
  }
}

/** An object of the Gateway API by its key. */
export function objectOf<Kind extends GatewayApiObject['kind']>(
  read: Reader,
  kind: Kind,
  namespace: string,
  name: string,
): Extract<GatewayApiObject, { kind: Kind }> | undefined {
  return read.input(`object ${objectKey(kind, namespace, name)}`)
}

/** A route by its key. */
export function routeOf(read: Reader, key: string): Route | undefined {
  return read.input(`object ${key}`)
}

/** The keys of the objects that a list holds. */
export function listed(read: Reader, index: IndexName, name: string): readonly string[] {
  return read.input<readonly string[]>(`${index} ${name}`) ?? []
}

/** The labels of a namespace; its name is one of them everywhere. */
export function namespaceLabels(read: Reader, namespace: string): Readonly<Record<string, string>> {
  const written = read.input<Readonly<Record<string, string>>>(`namespace ${namespace}`)
  return { 'kubernetes.io/metadata.name': namespace, ...written }
}

function keyOfObject({ kind, metadata }: GatewayApiObject): string {
  return objectKey(kind, metadata.namespace, metadata.name)
}

function gatewayOf({ namespace, selector }: MeshService): string | undefined {
  const name = selector?.[GATEWAY_NAME_LABEL]
  return name === undefined ? undefined : `${namespace}/${name}`
}

function factsOf({ hostname, ports, addresses }: MeshService): ServiceFacts {
  return {
    hostname,
    ports: ports.map(({ number }) => number),
    tlsPorts: ports.flatMap(({ number, protocol }) =>
      protocol === 'tls' || protocol === 'https' || protocol === 'auto' ? number : [],
    ),
    portNames: Object.fromEntries(ports.map(({ name, number }) => [name, number])),
    addresses,
  }
}

/** The lists that an object is in, by what it refers to. */
function listsOf(resource: GatewayApiObject): [IndexName, string][] {
  const { namespace } = resource.metadata
  if (isRoute(resource)) {
    const parents = (resource.spec.parentRefs ?? []).map(
      ref => ['routesOf', objectKey(ref.kind, ref.namespace ?? namespace, ref.name)] as const,
    )
    const backends = backendNames(resource).map(name => ['routesTo', name] as const)
    return distinct([...parents, ...backends])
  }
  switch (resource.kind) {
    case 'ListenerSet': {
      const { parentRef } = resource.spec
      return [['setsOf', `${parentRef.namespace ?? namespace}/${parentRef.name}`]]
    }
    case 'ReferenceGrant':
      return [['grantsIn', namespace]]
    case 'BackendTLSPolicy':
      return distinct(
        resource.spec.targetRefs.map(({ name }) => ['policiesOf', `${namespace}/${name}`] as const),
      )
    default:
      return []
  }
}

function distinct(lists: readonly (readonly [IndexName, string])[]): [IndexName, string][] {
  return [...new Map(lists.map(([index, name]) => [`${index} ${name}`, [index, name]])).values()] as [
    IndexName,
    string,
  ][]
}

interface Named {
  readonly namespace?: string | undefined
  readonly name: string
}

/** `namespace/name` of everything that a route sends to. */
function backendNames(route: Route): string[] {
  const named = (ref: Named) => `${ref.namespace ?? route.metadata.namespace}/${ref.name}`
  const rules: readonly {
    readonly backendRefs?: readonly Named[] | undefined
    readonly filters?:
      | readonly { readonly requestMirror?: { readonly backendRef: Named } | undefined }[]
      | undefined
  }[] = route.spec.rules ?? []
  return rules.flatMap(({ backendRefs = [], filters = [] }) => [
    ...backendRefs.map(named),
    ...filters.flatMap(({ requestMirror }) => (requestMirror ? [named(requestMirror.backendRef)] : [])),
  ])
}

function secretProblem({ spec }: Secret): string | undefined {
  const read = (name: string) => {
    const written = spec.stringData?.[name]
    if (written !== undefined) return written
    const encoded = spec.data?.[name]
    return encoded === undefined ? undefined : atob(encoded)
  }
  const certificate = read('tls.crt')
  const key = read('tls.key')
  if (certificate === undefined) return 'has no tls.crt'
  if (key === undefined) return 'has no tls.key'
  if (!isCertificates(certificate)) return 'holds no certificate in PEM as tls.crt'
  return /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key) ? undefined : 'holds no private key in PEM as tls.key'
}

function authoritiesOf({ spec }: ConfigMap): string | undefined {
  const text = spec.data?.['ca.crt']
  return text && isCertificates(text) ? text : undefined
}

/** A route's kind in its key. */
export function kindOfKey(key: string): RouteKind {
  return key.slice(0, key.indexOf('/')) as RouteKind
}
