import type { MeshResource } from '@seine/api'
import type { Clock, Closable, Logger } from '@seine/kit'
import fastify, { type FastifyInstance } from 'fastify'
import { addRoutes } from './api-routes.ts'
import type { ApiProblem, VersionInfo } from './api-types.ts'
import { ChangeWatch } from './change-watch.ts'
import { serveDashboard } from './dashboard-files.ts'
import { EventStreams } from './events.ts'
import { guard } from './guard.ts'
import type { HubInputs, HubSpan } from './hub-inputs.ts'
import { indexOf } from './mesh-index.ts'
import { PilotReader, type PilotState } from './pilot-reader.ts'
import { apiProblem, hubProblems, rejectionProblems, sidecarProblems } from './problems.ts'
import type { ResourceViewInputs } from './resource-views.ts'
import { Scraper } from './scraper.ts'
import { TraceStore } from './trace-store.ts'
import { TrafficStore } from './traffic-store.ts'
import { TrafficViews } from './traffic-view.ts'
import { byKey, Views } from './views.ts'

/** How the hub runs. */
export interface HubOptions {
  /** The name or address it is reached at, besides those of this machine itself. */
  readonly host: string
  readonly port: number
  /** The built dashboard; without it only the API is served. */
  readonly dashboardFolder: string | undefined
  readonly scrapeIntervalMs: number
  readonly clock: Clock
  readonly logger: Logger
  /** Where agents serve their metrics, if not where all do. */
  readonly metricsPort?: number
}

const MAX_BODY_BYTES = 4 << 20

/** Insights: what the mesh does, kept for a while and shown over HTTP. */
export class Hub implements Closable {
  readonly inputs: HubInputs
  readonly clock: Clock
  readonly logger: Logger
  readonly traffic = new TrafficStore()
  readonly trafficViews = new TrafficViews(this.traffic)
  readonly traces = new TraceStore()
  readonly scraper: Scraper
  readonly events: EventStreams
  readonly app: FastifyInstance
  readonly #options: HubOptions
  readonly #changes: ChangeWatch
  readonly #pilot: PilotReader
  readonly #startedAt: number

  constructor(inputs: HubInputs, options: HubOptions) {
    const { clock, logger, scrapeIntervalMs, metricsPort } = options
    this.inputs = inputs
    this.clock = clock
    this.logger = logger
    this.#options = options
    this.#startedAt = clock.now()
    this.#pilot = new PilotReader(inputs)
    this.events = new EventStreams(clock)
    this.scraper = new Scraper({
      snapshot: () => inputs.snapshot(),
      store: this.traffic,
      clock,
      logger,
      intervalMs: scrapeIntervalMs,
      onRound: at => this.events.send({ type: 'scrape', at }),
      ...(metricsPort === undefined ? {} : { port: metricsPort }),
    })
    this.#changes = new ChangeWatch({
      inputs,
      clock,
      logger,
      isHeard: () => this.events.clients > 0,
      tell: type => this.events.send({ type, at: clock.now() }),
    })
    this.app = fastify({
      bodyLimit: MAX_BODY_BYTES,
      forceCloseConnections: true,
      routerOptions: { maxParamLength: 500 },
      ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    })
    guard(this.app, options.host)
    addRoutes(this)
    serveDashboard(this.app, options.dashboardFolder)
  }

  /** Listens. Rejects with the system's error when the port can't be had. */
  async start(): Promise<void> {
    const { host, port } = this.#options
    await this.app.listen({ host, port })
    this.scraper.start()
    this.#changes.start()
  }

  async close(): Promise<void> {
    this.scraper.close()
    this.#changes.close()
    this.events.close()
    await this.app.close()
  }

  /** Takes spans that were received. */
  addSpans(spans: readonly HubSpan[]): void {
    this.traces.add(spans)
  }

  /** What is wrong with the configuration, and with what runs. */
  async problems(): Promise<ApiProblem[]> {
    return this.#problems(await this.#pilot.read(), byKey(this.inputs.resources()))
  }

  /** The services and workloads at this moment. */
  async views(): Promise<Views> {
    const { inputs, scraper, clock } = this
    const pilot = await this.#pilot.read()
    const resources = byKey(inputs.resources())
    const problems = await this.#problems(pilot, resources)
    const index = indexOf(inputs.snapshot())
    return new Views({
      index,
      resources,
      problems,
      proxies: pilot.proxies,
      traffic: this.trafficViews.window(index, clock.now()),
      stateOf: pod => scraper.stateOf(pod),
    })
  }

  /** What configuration objects are shown from at this moment. */
  async resourceInputs(): Promise<ResourceViewInputs> {
    const resources = byKey(this.inputs.resources())
    const problems = await this.#problems(await this.#pilot.read(), resources)
    return { index: indexOf(this.inputs.snapshot()), resources: resources.values(), problems }
  }

  version(): VersionInfo {
    const { version, envoyVersion, configFolders } = this.inputs
    const { lastRoundAt, roundBegunAt, errors } = this.scraper
    return {
      version,
      envoy: envoyVersion,
      trustDomain: this.inputs.snapshot().config.trustDomain,
      configFolders,
      startedAt: this.#startedAt,
      scrapeErrors: errors,
      scrape: {
        intervalMs: this.#options.scrapeIntervalMs,
        ...(lastRoundAt === undefined ? {} : { at: lastRoundAt }),
        ...(roundBegunAt === undefined ? {} : { begunAt: roundBegunAt }),
        coveredMs: this.traffic.coveredMs,
        series: this.traffic.seriesCount,
      },
    }
  }

  async #problems(
    { proxies, problems, findings, away }: PilotState,
    resources: ReadonlyMap<string, MeshResource>,
  ): Promise<ApiProblem[]> {
    const { inputs, scraper, traffic, clock } = this
    const rejections = await rejectionProblems({
      proxies,
      resources,
      proxyConfig: async id => (away === undefined ? inputs.proxyConfig(id) : undefined),
    })
    const sidecars = sidecarProblems({
      index: indexOf(inputs.snapshot()),
      // Whether a sidecar is connected is not known while pilot is away.
      proxies: away === undefined ? proxies : undefined,
      stateOf: pod => scraper.stateOf(pod),
      crashes: scraper.crashes,
      now: clock.now(),
    })
    return [
      ...hubProblems(traffic, away).map(problem => apiProblem(problem, 'hub')),
      ...problems.map(problem => apiProblem(problem, 'configuration')),
      ...findings.map(problem => apiProblem(problem, 'analysis')),
      ...rejections.map(problem => apiProblem(problem, 'sidecar')),
      ...sidecars.map(problem => apiProblem(problem, 'sidecar')),
    ]
  }
}
