import { fromBinary } from '@bufbuild/protobuf'
import { TypeUrl } from '@seine/envoy'
import { VirtualHostSchema } from '@seine/envoy/envoy/config/route/v3/route_components'
import type { ControlPlane } from './control-plane.ts'
import { quantile, round } from './figures.ts'
import { type Fleet, pause } from './fleet.ts'
import { type MeshFolder, ROUTED_SERVICES } from './mesh-folder.ts'

/** How many virtual services change, and for how long. */
export interface Storm {
  readonly perSecond: number
  readonly seconds: number
}

/** Figures of a storm. Latencies are from each change to each sidecar's receipt of it, or of a later one of the same route. */
export interface StormFigures {
  readonly changes: number
  /** As they were really made. */
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly lastMs: number
  /** Processor time of the control plane by the time that the storm took: 1 is one core busy. */
  readonly coreShare: number
  readonly sentMb: number
  /** Receipts that did not happen in time. */
  readonly missed: number
}

/** Timeouts tell changes apart, ms: the first has this one, each further one a millisecond more. */
const FIRST_TIMEOUT_MS = 10_000
const WITHIN_MS = 15_000

/** Changes routes at a steady rate, one virtual service after the other, whether or not the last change has arrived. */
export async function measureStorm(
  server: ControlPlane,
  fleet: Fleet,
  mesh: MeshFolder,
  services: number,
  { perSecond, seconds }: Storm,
): Promise<StormFigures> {
  const count = perSecond * seconds
  const routed = Math.min(ROUTED_SERVICES, services)
  const receipts = new Receipts(fleet.size, count, routed, name => mesh.service(name).hostname)
  const [bytes, before, startedAt] = [fleet.bytes, await server.usage(), performance.now()]
  fleet.observe((proxy, type, name, value) => receipts.note(proxy, type, name, value))
  for (let change = 0; change < count; change++) {
    const due = startedAt + (change * 1000) / perSecond
    if (due > performance.now()) await pause(due - performance.now())
    await mesh.setWeight(change % routed, 1 + (change % 99), FIRST_TIMEOUT_MS + change)
    receipts.made(change)
  }
  const madeMs = performance.now() - startedAt
  const deadline = performance.now() + WITHIN_MS
  while (receipts.missing > 0 && performance.now() < deadline) await pause(5)
  const tookMs = performance.now() - startedAt
  fleet.observe(undefined)
  const { latenciesMs, missing } = receipts
  return {
    changes: count,
    perSecond: round((count * 1000) / madeMs, 1),
    p50Ms: round(quantile(latenciesMs, 0.5), 1),
    p99Ms: round(quantile(latenciesMs, 0.99), 1),
    lastMs: round(quantile(latenciesMs, 1), 1),
    coreShare: round(((await server.usage()).cpuMs - before.cpuMs) / tookMs, 2),
    sentMb: round((fleet.bytes - bytes) / 1e6, 1),
    missed: missing,
  }
}

/** Who has received which change. A later change of a route stands for the earlier ones. */
class Receipts {
  /** By change; undefined until it is made. */
  readonly #madeAt: number[] = []
  readonly #latencies: Float64Array
  /** For each sidecar and route, the newest change that was received. */
  readonly #newest: Int32Array
  readonly #routeOf: ReadonlyMap<string, number>
  readonly #routes: number
  /** What was last decoded for each route: all sidecars receive the same bytes. */
  readonly #decoded: { readonly bytes: Uint8Array; readonly change: number }[] = []
  #received = 0
  readonly #expected: number

  constructor(proxies: number, changes: number, routes: number, hostOf: (route: number) => string) {
    this.#latencies = new Float64Array(proxies * changes)
    this.#newest = new Int32Array(proxies * routes).map((_, index) => (index % routes) - routes)
    this.#routes = routes
    this.#routeOf = new Map(Array.from({ length: routes }, (_, route) => [`80/${hostOf(route)}`, route]))
    this.#expected = proxies * changes
  }

  get missing(): number {
    return this.#expected - this.#received
  }

  get latenciesMs(): Float64Array {
    return this.#latencies.subarray(0, this.#received)
  }

  made(change: number): void {
    this.#madeAt[change] ??= performance.now()
  }

  note(proxy: number, type: string, name: string, value: Uint8Array | undefined): void {
    const route = type === TypeUrl.virtualHost ? this.#routeOf.get(name) : undefined
    if (route === undefined || value === undefined) return
    const now = performance.now()
    const at = proxy * this.#routes + route
    const newest = this.#newest[at] ?? 0
    const change = this.#changeIn(route, value)
    for (let one = newest + this.#routes; one <= change; one += this.#routes) {
      // It may arrive before whoever made it goes on.
      this.made(one)
      this.#latencies[this.#received++] = now - (this.#madeAt[one] ?? now)
    }
    this.#newest[at] = Math.max(newest, change)
  }

  #changeIn(route: number, bytes: Uint8Array): number {
    const known = this.#decoded[route]
    if (known && Buffer.compare(known.bytes, bytes) === 0) return known.change
    const action = fromBinary(VirtualHostSchema, bytes).routes[0]?.action
    const timeout = action?.case === 'route' ? action.value.timeout : undefined
    const ms = Number(timeout?.seconds ?? 0n) * 1000 + Math.round((timeout?.nanos ?? 0) / 1e6)
    const change = ms - FIRST_TIMEOUT_MS
    this.#decoded[route] = { bytes: bytes.slice(), change }
    return change
  }
}
