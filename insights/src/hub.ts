import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import { keyOf, refOf } from '@seine/api'
import type { Clock, Closable, Logger, Problem } from '@seine/kit'
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import type { VersionInfo } from './api-types.ts'
import { figuresOf } from './figures.ts'
import type { HubInputs, HubSpan } from './hub-inputs.ts'
import { Scraper } from './scraper.ts'
import { buildGraph } from './topology.ts'
import { TraceStore } from './trace-store.ts'
import { type CallKey, TrafficStore } from './traffic-store.ts'
import {
  apiProblem,
  apiProxy,
  apiProxyConfig,
  configRef,
  serviceDetail,
  serviceSummaries,
  type ViewInputs,
  workloadDetail,
  workloadSummaries,
} from './views.ts'

/** How the hub runs. */
export interface HubOptions {
  readonly host: string
  readonly port: number
  /** The built dashboard; without it only the API is served. */
  readonly dashboardFolder: string | undefined
  readonly scrapeIntervalMs: number
  readonly clock: Clock
  readonly logger: Logger
}

const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
}

/** Insights: what the mesh does, kept for a while and shown over HTTP. */
export class Hub implements Closable {
  readonly #inputs: HubInputs
  readonly #options: HubOptions
  readonly #traffic = new TrafficStore()
  readonly #traces = new TraceStore()
  readonly #scraper: Scraper
  readonly #startedAt: number
  readonly app: FastifyInstance

  constructor(inputs: HubInputs, options: HubOptions) {
    this.#inputs = inputs
    this.#options = options
    this.#startedAt = options.clock.now()
    this.#scraper = new Scraper({
      snapshot: () => inputs.snapshot(),
      store: this.#traffic,
      clock: options.clock,
      logger: options.logger,
      intervalMs: options.scrapeIntervalMs,
    })
    this.app = fastify({
      bodyLimit: 4 << 20,
      forceCloseConnections: true,
      routerOptions: { maxParamLength: 500 },
    })
    this.#protect()
    this.#routes()
  }

  /** Listens. Rejects with the system's error when the port can't be had. */
  async start(): Promise<void> {
    const { host, port, dashboardFolder } = this.#options
    if (dashboardFolder && existsSync(join(dashboardFolder, 'index.html')))
      await this.#serveDashboard(dashboardFolder)
    await this.app.listen({ host, port })
    this.#scraper.start()
  }

  async close(): Promise<void> {
    this.#scraper.close()
    await this.app.close()
  }

  /** Takes spans that were received. */
  addSpans(spans: readonly HubSpan[]): void {
    this.#traces.add(spans)
  }

  /** A page of another site must not be able to read the API through the reader's browser. */
  #protect(): void {
    this.app.addHook('onRequest', async (request, reply) => {
      const name = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
      const known = ['localhost', '127.0.0.1', '::1', this.#options.host]
      if (!known.includes(name))
        return reply.code(403).send({ error: `the host "${name}" is not served here` })
      return undefined
    })
    this.app.addHook('onSend', async (_request, reply) => {
      reply.headers(HEADERS)
    })
  }

  #routes(): void {
    const { app } = this
    app.get('/api/v1/version', () => this.#version())
    app.get<{ Querystring: { window?: string } }>('/api/v1/graph', ({ query }) =>
      buildGraph(this.#traffic, this.#inputs.snapshot(), this.#options.clock.now(), windowOf(query.window)),
    )
    app.get('/api/v1/services', async () => serviceSummaries(await this.#view()))
    app.get<{ Params: { hostname: string } }>('/api/v1/services/:hostname', async ({ params }, reply) =>
      found(
        reply,
        serviceDetail(params.hostname, await this.#view()),
        `there is no service ${params.hostname}`,
      ),
    )
    app.get('/api/v1/workloads', async () => workloadSummaries(await this.#view()))
    app.get<{ Params: { namespace: string; pod: string } }>(
      '/api/v1/workloads/:namespace/:pod',
      async ({ params }, reply) =>
        found(
          reply,
          workloadDetail(params.namespace, params.pod, await this.#view()),
          `there is no workload ${params.namespace}/${params.pod}`,
        ),
    )
    app.get<{ Querystring: { limit?: string } }>('/api/v1/traces', ({ query }) =>
      this.#traces.list(Math.min(Math.max(Number(query.limit ?? 50) || 50, 1), 500)),
    )
    app.get<{ Params: { id: string } }>('/api/v1/traces/:id', ({ params }, reply) =>
      found(reply, this.#traces.get(params.id), `there is no trace ${params.id}, or it is no longer kept`),
    )
    app.get('/api/v1/proxies', async () =>
      (await this.#inputs.proxies()).map(proxy => apiProxy(proxy, this.#inputs.snapshot())),
    )
    app.get<{ Params: { id: string } }>('/api/v1/proxies/:id/config', ({ params }, reply) =>
      this.#proxyConfig(params.id, reply),
    )
    app.get('/api/v1/problems', async () => (await this.#problems()).map(apiProblem))
    app.get('/api/v1/resources', () =>
      [...this.#inputs.resources()].map(resource => configRef(resource, false)),
    )
    app.get<{ Querystring: { service?: string; workload?: string } }>('/api/v1/timeseries', ({ query }) =>
      this.#timeseries(query),
    )
    app.post<{ Body: readonly HubSpan[] }>('/api/v1/spans', ({ body }, reply) => {
      if (!Array.isArray(body)) return reply.code(400).send({ error: 'a list of spans is expected' })
      this.addSpans(body)
      return { accepted: body.length }
    })
    app.setNotFoundHandler((request, reply) => this.#notFound(request.url, reply))
  }

  async #serveDashboard(folder: string): Promise<void> {
    await this.app.register(fastifyStatic, { root: folder, wildcard: false, index: false })
  }

  /** Paths of the dashboard's own pages give the page; the API says what is missing. */
  async #notFound(url: string, reply: FastifyReply): Promise<FastifyReply> {
    const { dashboardFolder } = this.#options
    if (url.startsWith('/api/') || !dashboardFolder)
      return reply.code(404).send({ error: `nothing is served at ${url}` })
    try {
      return reply.type('text/html').send(await readFile(join(dashboardFolder, 'index.html'), 'utf8'))
    } catch {
      return reply
        .code(404)
        .send({ error: `the dashboard is not built: there is no index.html in ${dashboardFolder}` })
    }
  }

  #version(): VersionInfo {
    const { version, envoyVersion, configFolders } = this.#inputs
    return {
      version,
      envoy: envoyVersion,
      trustDomain: this.#inputs.snapshot().config.trustDomain,
      configFolders,
      startedAt: this.#startedAt,
      scrapeErrors: this.#scraper.errors,
    }
  }

  /** What is wrong with the configuration, and what sidecars report. */
  async #problems(): Promise<readonly Problem[]> {
    return [...(await this.#inputs.problems()), ...this.#scraper.crashes()]
  }

  async #view(): Promise<ViewInputs> {
    const { clock } = this.#options
    const snapshot = this.#inputs.snapshot()
    const now = clock.now()
    const [problems, proxies] = await Promise.all([this.#problems(), this.#inputs.proxies()])
    const { edges } = buildGraph(this.#traffic, snapshot, now, 60)
    return {
      snapshot,
      resources: [...this.#inputs.resources()],
      problems,
      proxies,
      edges,
      store: this.#traffic,
      scraper: this.#scraper,
      now,
    }
  }

  async #proxyConfig(id: string, reply: FastifyReply): Promise<unknown> {
    const config = await this.#inputs.proxyConfig(id)
    if (!config) return found(reply, undefined, `no proxy ${id} is connected`)
    const resources = new Map(
      [...this.#inputs.resources()].map(resource => [keyOf(refOf(resource)), resource]),
    )
    const [pod = '', namespace = ''] = splitLast(id.split('~')[2] ?? '')
    return apiProxyConfig(config, resources, this.#scraper.certificateOf(`${namespace}/${pod}`))
  }

  #timeseries({ service, workload }: { service?: string; workload?: string }) {
    const [namespace, name] = (workload ?? '').split('/')
    const wanted = (key: CallKey) =>
      service
        ? key.destinationService === service
        : key.destinationNamespace === namespace && key.destinationWorkload === name
    const received = this.#traffic.query(0, key => key.reporter === 'destination' && wanted(key))
    const taken = received.length > 0 ? received : this.#traffic.query(0, wanted)
    const stepMs = this.#options.scrapeIntervalMs
    const byStep = new Map<number, (typeof taken)[number]['intervals'][number][]>()
    for (const interval of taken.flatMap(({ intervals }) => intervals)) {
      const at = Math.floor(interval.at / stepMs) * stepMs
      byStep.set(at, [...(byStep.get(at) ?? []), interval])
    }
    return {
      points: [...byStep]
        .sort(([a], [b]) => a - b)
        .map(([at, intervals]) => ({ at, ...figuresOf(intervals, stepMs / 1000) })),
    }
  }
}

function found<T>(reply: FastifyReply, value: T | undefined, message: string): T | FastifyReply {
  return value ?? reply.code(404).send({ error: message })
}

function windowOf(text: string | undefined): number {
  const seconds = Number.parseInt(text ?? '60', 10)
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 10), 900) : 60
}

function splitLast(text: string): [string, string] {
  const dot = text.lastIndexOf('.')
  return [text.slice(0, dot), text.slice(dot + 1)]
}
