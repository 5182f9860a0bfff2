import { keyOf, type MeshResource, refOf } from '@seine/api'
import type { Problem } from '@seine/kit'
import type { MeshService } from '../service.ts'
import { backendTls, backendTlsStatus } from './backend-tls.ts'
import type { Verdict } from './conditions.ts'
import type { BackendTls, RoutedService, ServedGateway } from './derived.ts'
import { gatewayClassStatus } from './gateway-classes.ts'
import { gatewayRoutes } from './gateway-routes.ts'
import { gatewayStatus, listenerSetStatus } from './gateway-status.ts'
import { gatewayTables } from './gateway-tables.ts'
import { equal, Incremental, type Query } from './incremental.ts'
import { GatewayInputs } from './inputs.ts'
import { meshRouteKeys, meshRoutes } from './mesh-routes.ts'
import { type GatewayApiObject, isOfGatewayApi, isRoute, nameOfKey, objectKey, refOfKey } from './objects.ts'
import { routeStatus } from './route-status.ts'
import type { Status, StatusBody } from './status.ts'

/** What became of something derived, by key: a new version, or undefined for what is gone. */
type Changed<T> = ReadonlyMap<string, T | undefined>

/** What a round of changes came to. */
export interface GatewayApiUpdate {
  /** Routes by `namespace/name`; no name that people give has a `~` in it, and all of these have. */
  readonly routes: Changed<RoutedService>
  /** Gateways by `namespace/name`, in the same way. */
  readonly gateways: Changed<ServedGateway>
  /** How gateways connect to Services, by `namespace/name` of the Service. */
  readonly backendTls: Changed<readonly BackendTls[]>
  /** Statuses by the object's key, such as `HTTPRoute/default/reviews`. */
  readonly statuses: Changed<StatusBody>
  /** What was made again: tests assert on it. */
  readonly computed: readonly string[]
}

/**
 * What the objects of the Gateway API mean for the mesh, and their status. Everything is derived by pure queries
 * that are asked again only when what they read has changed.
 */
export class GatewayApi {
  readonly #incremental = new Incremental()
  readonly #inputs = new GatewayInputs(this.#incremental)
  /** By Gateway, to tell what is gone. */
  readonly #gatewaysOf = new Map<string, ReadonlyMap<string, ServedGateway>>()
  readonly #findings = new Map<string, readonly Verdict[]>()
  /** Derived things that have to be asked for, or that may be gone. */
  readonly #noted = new Map<string, { readonly query: Query<unknown>; readonly key: string }>()
  /** Objects that are gone unless they are written anew in the same round. */
  readonly #removed = new Map<string, MeshResource>()

  /** Takes an object in. */
  write(resource: MeshResource): void {
    this.#removed.delete(keyOf(refOf(resource)))
    this.#note(resource)
    this.#inputs.write(resource)
  }

  /** The object is gone, or about to be written anew. */
  remove(resource: MeshResource): void {
    this.#removed.set(keyOf(refOf(resource)), resource)
    this.#note(resource)
  }

  /** The object says the same at another place. */
  moved(resource: MeshResource): void {
    this.#inputs.moved(resource)
  }

  /** A service of the registry as it is now; undefined when it is gone. */
  writeService(hostname: string, service: MeshService | undefined): void {
    this.#inputs.writeService(hostname, service)
  }

  /** What is wrong with the objects, each with the field that is to blame. */
  get problems(): Problem[] {
    return [...this.#findings]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([key, verdicts]) => verdicts.map(verdict => this.#problem(key, verdict)))
  }

  /** Answers what may have changed since the last time. */
  update(): GatewayApiUpdate {
    for (const resource of this.#removed.values()) this.#inputs.remove(resource)
    this.#removed.clear()
    // What was never asked for before is followed from now on.
    for (const { query, key } of this.#noted.values()) this.#incremental.ask(query, key)
    const gateways = this.#gateways()
    const update = {
      gateways,
      routes: this.#routes(),
      backendTls: this.#incremental.changed(backendTls),
      statuses: this.#statuses(),
    }
    for (const { query, key } of this.#noted.values())
      if (this.#incremental.ask(query, key) === undefined && !this.#isWanted(query, key))
        this.#incremental.forget(query, key)
    this.#noted.clear()
    return { ...update, computed: this.#incremental.settle() }
  }

  #routes(): Map<string, RoutedService | undefined> {
    const routes = new Map<string, RoutedService | undefined>()
    for (const [key, found] of this.#incremental.changed(gatewayRoutes)) {
      const [gateway = '', listener = '', host = ''] = key.split(' ')
      routes.set(`${gateway}~${listener}~${host}`, found)
      if (!found) this.#incremental.forget(gatewayRoutes, key)
    }
    for (const [key, found] of this.#incremental.changed(meshRoutes)) {
      const [service = '', owner = ''] = key.split(' ')
      routes.set(`${owner}/${service.replace('/', '~')}~mesh`, found)
    }
    return routes
  }

  #statuses(): Map<string, StatusBody | undefined> {
    const statuses = new Map<string, StatusBody | undefined>()
    for (const query of new Set(Object.values(STATUS_QUERIES)))
      for (const [key, status] of this.#incremental.changed(query)) {
        statuses.set(key, status?.body)
        const findings = new Map((status?.findings ?? []).map(one => [JSON.stringify(one), one]))
        if (findings.size > 0) this.#findings.set(key, [...findings.values()])
        else this.#findings.delete(key)
      }
    return statuses
  }

  /** Notes what an object has, and what it takes part in. */
  #note(resource: MeshResource): void {
    if (!isOfGatewayApi(resource)) return
    const key = objectKey(resource.kind, resource.metadata.namespace, resource.metadata.name)
    const note = (query: Query<unknown>, name: string) =>
      this.#noted.set(`${query.name} ${name}`, { query, key: name })
    const status = STATUS_QUERIES[resource.kind]
    if (status) note(status, key)
    if (resource.kind === 'Gateway') note(gatewayTables, nameOfKey(key))
    if (isRoute(resource)) for (const name of meshRouteKeys(resource)) note(meshRoutes, name)
    if (resource.kind === 'BackendTLSPolicy')
      for (const { name } of resource.spec.targetRefs)
        note(backendTls, `${resource.metadata.namespace}/${name}`)
  }

  /** Whether there is an object for which something may come of a query yet. */
  #isWanted(query: Query<unknown>, key: string): boolean {
    if (query === gatewayTables) return this.#inputs.objects.has(`Gateway/${key}`)
    if (query === meshRoutes) return this.#inputs.has('routesOf', `Service/${key.split(' ')[0]}`)
    if (query === backendTls) return this.#inputs.has('policiesOf', key)
    return this.#inputs.objects.has(key)
  }

  /** Which gateways have come, changed or gone; the routes of hosts that have come are asked for. */
  #gateways(): Map<string, ServedGateway | undefined> {
    const changed = new Map<string, ServedGateway | undefined>()
    for (const [key, tables] of this.#incremental.changed(gatewayTables)) {
      const before = this.#gatewaysOf.get(key) ?? new Map<string, ServedGateway>()
      const after = new Map(
        (tables?.gateways ?? []).map(one => [`${one.metadata.namespace}/${one.metadata.name}`, one]),
      )
      for (const name of before.keys()) if (!after.has(name)) changed.set(name, undefined)
      for (const [name, gateway] of after) if (!equal(before.get(name), gateway)) changed.set(name, gateway)
      if (tables) this.#gatewaysOf.set(key, after)
      else this.#gatewaysOf.delete(key)
      for (const host of Object.keys(tables?.hosts ?? {}))
        this.#incremental.ask(gatewayRoutes, `${key} ${host}`)
    }
    return changed
  }

  #problem(key: string, { reason, message, path }: Verdict): Problem {
    const origin = this.#inputs.objects.get(key)?.origin
    return {
      severity: 'error',
      code: kebab(reason),
      message,
      resource: refOfKey(key),
      ...(path === undefined ? {} : { path, ...(origin ? { position: origin.locate(path) } : {}) }),
    }
  }
}

const STATUS_QUERIES: Readonly<Partial<Record<GatewayApiObject['kind'], Query<Status | undefined>>>> = {
  GatewayClass: gatewayClassStatus,
  Gateway: gatewayStatus,
  ListenerSet: listenerSetStatus,
  HTTPRoute: routeStatus,
  GRPCRoute: routeStatus,
  TLSRoute: routeStatus,
  TCPRoute: routeStatus,
  BackendTLSPolicy: backendTlsStatus,
}

/** `RefNotPermitted` as `ref-not-permitted`: a code as problems have it. */
function kebab(reason: string): string {
  return reason.replace(/([a-z])([A-Z])/g, '$1-$2').toLowerCase()
}
