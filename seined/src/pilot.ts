import { type Kind, keyOf, type MeshResource, type WorkloadEntry } from '@seine/api'
import { type Provenance, TypeUrl } from '@seine/envoy'
import {
  type Clock,
  type Closable,
  certificateProblem,
  err,
  type Logger,
  ok,
  type Problem,
  type Registry,
  type Result,
} from '@seine/kit'
import { MeshModel, type MeshSnapshot, type ResourceChange } from '@seine/model'
import {
  type ConfigSource,
  DiscoveryServer,
  type NodeInfo,
  type ProxySession,
  type ProxyStatus,
  type ProxyView,
} from '@seine/pilot-discovery'
import {
  asRegistered,
  NAME_TABLE_TYPE,
  type Proxy,
  type ProxyConfiguration,
  parseProxy,
  resourceToJson,
  type TrafficGenerator,
} from '@seine/pilot-traffic'
import { BackgroundAnalysis } from './background-analysis.ts'
import { ProxySources } from './proxy-sources.ts'
import {
  PROBE_NAME,
  PROBE_TYPE,
  type Registration,
  type RegistrationOptions,
  Registrations,
} from './registrations.ts'
import { type ShownObject, shownObjects } from './shown-objects.ts'
import { SwitchedView } from './switched-view.ts'

/** A resource that a proxy gets, for people. */
export interface ShownResource {
  readonly name: string
  readonly version: string
  readonly provenance: readonly Provenance[]
  readonly config: unknown
}

/** Everything a proxy gets, by the names the CLI uses. */
export interface ShownConfiguration {
  readonly listeners: readonly ShownResource[]
  readonly routes: readonly ShownResource[]
  readonly clusters: readonly ShownResource[]
  readonly endpoints: readonly ShownResource[]
  /** Configuration of filters that comes by itself (ECDS). */
  readonly extensions: readonly ShownResource[]
}

/** What pilot needs from outside. */
export interface PilotOptions {
  readonly logger: Logger
  readonly clock: Clock
  readonly metrics: Registry
  /** Workloads that were registered before it started, and where to write down those that are now. */
  readonly registrations?: Pick<RegistrationOptions, 'stored' | 'save'>
}

interface Connected {
  /** As it describes itself. */
  readonly described: Proxy
  /** As it is: one that has registered has the labels of its entry. */
  proxy: Proxy
  readonly registration: Registration | undefined
  /** Where its configuration is made. */
  source: TrafficGenerator
  /** What each of its streams gets: what a stream asks for decides about its own. */
  readonly views: Set<SwitchedView>
}

const ALL_TYPES = [
  TypeUrl.cluster,
  TypeUrl.endpoint,
  TypeUrl.listener,
  TypeUrl.route,
  TypeUrl.virtualHost,
  TypeUrl.secret,
  NAME_TABLE_TYPE,
]

/** Pilot: the model of the mesh, its translation, the ADS server that hands it out, and analysis beside them. */
export class Pilot implements Closable {
  readonly discovery: DiscoveryServer
  readonly #options: PilotOptions
  readonly #model = new MeshModel()
  readonly #sources: ProxySources
  readonly #analysis: BackgroundAnalysis
  readonly #registrations: Registrations
  readonly #proxies = new Map<string, Connected>()
  /** The ids of those that have registered. */
  readonly #registered = new Set<string>()
  #sourceProblems: readonly Problem[] = []
  /** Patches that have no effect, or that are left out, at the last look. */
  #patchProblems: readonly Problem[] = []
  #known = new Set<string>()

  constructor(options: PilotOptions) {
    this.#options = options
    this.#sources = new ProxySources(this.#model.snapshot)
    this.#registrations = new Registrations({
      clock: options.clock,
      logger: options.logger,
      onChange: change => this.#take(change),
      ...options.registrations,
    })
    const source: ConfigSource = { open: node => this.#open(node) }
    this.discovery = new DiscoveryServer({
      source,
      logger: options.logger,
      clock: options.clock,
      metrics: options.metrics,
      version: () => String(this.#model.snapshot.version),
    })
    this.#analysis = new BackgroundAnalysis({
      clock: options.clock,
      logger: options.logger,
      certificateProblem: (certificate, key) => certificateProblem(certificate, key, options.clock.now()),
      read: () => ({
        resources: this.#model.resources.values(),
        broken: this.#sourceProblems.flatMap(({ severity, resource }) =>
          severity === 'error' && resource ? [resource] : [],
        ),
      }),
      onEnd: () => {
        this.#patchProblems = this.#sources.patchProblems()
        this.#logNewProblems()
      },
    })
  }

  async close(): Promise<void> {
    this.#registrations.close()
    await this.#analysis.close()
  }

  get snapshot(): MeshSnapshot {
    return this.#model.snapshot
  }

  /** All resources as their sources gave them. */
  get resources(): Iterable<MeshResource> {
    return this.#model.resources.values()
  }

  /** Every object, as it is in force and as it was written. */
  objects(): readonly ShownObject[] {
    return shownObjects(this.#model.objects(), this.#sourceProblems, this.#model.snapshot.problems)
  }

  /** The entries of the workloads that have registered. */
  get registered(): readonly WorkloadEntry[] {
    return this.#registrations.entries
  }

  /** What is wrong with the configuration: in files, and between resources. */
  get problems(): readonly Problem[] {
    return [
      ...this.#sourceProblems,
      ...this.#model.snapshot.problems,
      ...this.#sources.problems(),
      ...this.#patchProblems.filter(({ severity }) => severity === 'error'),
    ]
  }

  /**
   * What analysis found besides. What is among the problems already is left out, for there it also stands what the
   * mesh does about it.
   */
  get findings(): readonly Problem[] {
    const said = new Set(this.problems.map(subjectOf))
    return [...this.#analysis.problems, ...this.#patchProblems].filter(
      problem => !said.has(subjectOf(problem)),
    )
  }

  /** Takes a change from a source in, and tells the proxies that it concerns. */
  apply(change: ResourceChange, problems: readonly Problem[]): void {
    this.#sourceProblems = problems
    this.#take(this.#registrations.follow(change))
  }

  #take(change: ResourceChange): void {
    const { snapshot, changes } = this.#model.apply(change)
    const { hints, moved } = this.#sources.update(change, { snapshot, changes }, this.#model)
    for (const hint of hints) this.discovery.push(hint)
    this.#moveProxies(moved)
    if (change.upserts.some(({ kind }) => kind === 'WorkloadGroup'))
      this.discovery.push(new Map([[PROBE_TYPE, 'all']]))
    this.#logNewProblems()
    this.#analysis.changed([...change.upserts, ...change.deletes].map(({ kind }) => kind as Kind))
  }

  /** What each proxy has acknowledged. */
  proxies(): readonly ProxyStatus[] {
    return this.discovery.statuses().filter(({ types }) => Object.keys(types).length > 0)
  }

  /** What a connected proxy gets, with what each resource came from; undefined when no such proxy is connected. */
  configurationOf(proxyId: string): ShownConfiguration | undefined {
    const connected = this.#proxies.get(proxyId)
    if (!connected) return undefined
    const whole = widest(connected.views)
    const show = (type: string) =>
      [...new Set(whole.names(type))].sort().flatMap((name): ShownResource[] => {
        const found = whole.get(type, name)
        return found
          ? [
              {
                name,
                version: found.version,
                provenance: found.provenance,
                config: resourceToJson(type, found),
              },
            ]
          : []
      })
    const routes = [
      ...show(TypeUrl.route),
      ...(connected.proxy.virtualHostDiscovery ? show(TypeUrl.virtualHost) : []),
    ]
    return {
      listeners: show(TypeUrl.listener),
      routes,
      clusters: show(TypeUrl.cluster),
      endpoints: show(TypeUrl.endpoint),
      extensions: show(TypeUrl.extension),
    }
  }

  #open(node: NodeInfo): Result<ProxySession, string> {
    const parsed = parseProxy(node.id, node.metadata, node.protocol === 'delta')
    if (!parsed.ok) return err(parsed.error)
    const proxy: Proxy = { ...parsed.value, authenticated: node.peerIdentity !== undefined }
    const claimed = `/ns/${proxy.namespace}/sa/${proxy.serviceAccount}`
    if (node.peerIdentity !== undefined && !node.peerIdentity.endsWith(claimed)) {
      return err(`the proxy says it is ${claimed.slice(1)}, but its token is for ${node.peerIdentity}`)
    }
    const registered = proxy.group === undefined ? undefined : this.#registrations.join(proxy)
    if (registered && !registered.ok) return registered
    const registration = registered?.value
    const connected = this.#connect(proxy, registration)
    const view = new SwitchedView(connected.source.configurationOf(connected.proxy))
    connected.views.add(view)
    const close = () => {
      connected.views.delete(view)
      if (registration) this.#registrations.leave(registration)
      if (connected.views.size > 0) return
      connected.source.forget(connected.proxy)
      if (this.#proxies.get(proxy.id) !== connected) return
      this.#proxies.delete(proxy.id)
      this.#registered.delete(proxy.id)
    }
    if (!registration) return ok({ proxyId: proxy.id, view, close })
    return ok({
      proxyId: proxy.id,
      view: this.#withProbe(view, registration),
      reportHealth: reason => this.#registrations.report(registration, reason),
      close,
    })
  }

  /** What a stream of a registered workload gets: its agent asks for the probe as well. */
  #withProbe(view: SwitchedView, registration: Registration): ProxyView {
    const probe = () => this.#registrations.probeOf(registration)
    return {
      get: (type, name) =>
        type === PROBE_TYPE ? (name === PROBE_NAME ? probe() : undefined) : view.get(type, name),
      names: (type, prefix) =>
        type === PROBE_TYPE ? (probe() ? [PROBE_NAME] : []) : view.names(type, prefix),
      ...(view.demands ? { demands: view.demands } : {}),
    }
  }

  /** The streams of one proxy, Envoy's and the agent's own, share what it is made of. */
  #connect(described: Proxy, registration: Registration | undefined): Connected {
    const known = this.#proxies.get(described.id)
    if (known && JSON.stringify(known.described) === JSON.stringify(described)) return known
    const proxy = this.#asItIs(described, registration)
    const source = this.#sources.of(proxy)
    const connected = { described, proxy, registration, source, views: new Set<SwitchedView>() }
    this.#proxies.set(described.id, connected)
    if (registration) this.#registered.add(described.id)
    else this.#registered.delete(described.id)
    // Whether a patch has an effect depends on who is there.
    if (this.#model.snapshot.envoyFilters.size > 0) this.#analysis.changed([])
    return connected
  }

  #asItIs(described: Proxy, registration: Registration | undefined): Proxy {
    if (!registration) return described
    const { name, labels } = this.#registrations.entryOf(registration)
    return asRegistered(described, name, labels)
  }

  /**
   * A canary began or ended, if `moved`, and workloads that have registered may have other labels: proxies for which
   * that means another source, or that are others now, get what that comes to.
   */
  #moveProxies(moved: boolean): void {
    const changed = new Set<string>()
    for (const id of moved ? this.#proxies.keys() : this.#registered) {
      const connected = this.#proxies.get(id)
      if (!connected) continue
      const proxy = this.#asItIs(connected.described, connected.registration)
      const isSame = JSON.stringify(proxy) === JSON.stringify(connected.proxy)
      const next = this.#sources.of(proxy)
      if (isSame && next === connected.source) continue
      const own = isSame ? connected.proxy : proxy
      for (const view of connected.views) view.switchTo(next.configurationOf(own))
      connected.source.forget(connected.proxy)
      connected.proxy = own
      connected.source = next
      changed.add(id)
    }
    if (changed.size > 0)
      this.discovery.pushTo(id => changed.has(id), new Map(ALL_TYPES.map(type => [type, 'all'])))
  }

  #logNewProblems(): void {
    const now = new Map(
      [...this.problems, ...this.findings].map(problem => [JSON.stringify(problem), problem]),
    )
    for (const [key, problem] of now) {
      if (this.#known.has(key)) continue
      const { severity, ...fields } = problem
      this.#options.logger[severity === 'error' ? 'error' : severity === 'warning' ? 'warn' : 'info'](
        fields,
        'configuration problem',
      )
    }
    this.#known = new Set(now.keys())
  }
}

/** What a problem is about, whatever its words. */
function subjectOf({ code, resource, path }: Problem): string {
  return [code, resource ? keyOf(resource) : '', path ?? ''].join('\n')
}

/** Of a proxy's streams, Envoy's is the one that asks for most; the agent's own asks for names only. */
function widest(views: ReadonlySet<ProxyConfiguration>): ProxyConfiguration {
  const bySize = [...views].map(view => ({ view, size: [...view.names(TypeUrl.virtualHost)].length }))
  const [first] = bySize.sort((a, b) => b.size - a.size)
  return first?.view ?? { get: () => undefined, names: () => [] }
}
