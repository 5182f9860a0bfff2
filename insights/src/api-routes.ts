import { errorMessage } from '@seine/kit'
import type { FastifyError, FastifyReply } from 'fastify'
import type { ApiObject } from './api-types.ts'
import { apiRegistered, apiStatuses } from './config-refs.ts'
import type { Hub } from './hub.ts'
import type { HubSpan } from './hub-inputs.ts'
import { indexOf } from './mesh-index.ts'
import { apiProxy, apiProxyConfig, podOf } from './proxies-view.ts'
import { resourceDetail, resourceSummaries } from './resource-views.ts'
import { SPANS_SCHEMA } from './spans.ts'
import type { SeriesQuery } from './traffic-view.ts'
import { byKey } from './views.ts'

const MAX_TRACES = 500

/** Adds the hub's HTTP API, `/api/v1`. Its answers are described in `api-types.ts`. */
export function addRoutes(hub: Hub): void {
  const { app, inputs, clock } = hub
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler<FastifyError>((failure, { url }, reply) => {
    const status = failure.statusCode ?? 500
    if (status === 500) hub.logger.error({ url, reason: failure.stack }, 'a request to the hub failed')
    return reply.code(status).send({ error: errorMessage(failure), statusCode: status })
  })
  app.get('/api/v1/version', () => hub.version())
  app.get<{ Querystring: Query<'window'> }>('/api/v1/graph', ({ query }, reply) => {
    const index = indexOf(inputs.snapshot())
    const view = hub.trafficViews.window(index, clock.now(), windowOf(one(query.window)))
    return reply.type('application/json; charset=utf-8').send(view.graphJson)
  })
  app.get('/api/v1/services', async () => (await hub.views()).services())
  app.get<{ Params: { hostname: string } }>('/api/v1/services/:hostname', async ({ params }, reply) =>
    found(reply, (await hub.views()).service(params.hostname), `there is no service ${params.hostname}`),
  )
  app.get('/api/v1/workloads', async () => (await hub.views()).workloads())
  app.get<{ Params: { namespace: string; pod: string } }>(
    '/api/v1/workloads/:namespace/:pod',
    async ({ params: { namespace, pod } }, reply) =>
      found(reply, (await hub.views()).workload(namespace, pod), `there is no workload ${namespace}/${pod}`),
  )
  app.get<{ Querystring: Query<'limit'> }>('/api/v1/traces', ({ query }) =>
    hub.traces.list(Math.min(Math.max(Number(one(query.limit) ?? 50) || 50, 1), MAX_TRACES)),
  )
  app.get<{ Params: { id: string } }>('/api/v1/traces/:id', ({ params }, reply) =>
    found(reply, hub.traces.get(params.id), `there is no trace ${params.id}, or it is no longer kept`),
  )
  app.get('/api/v1/proxies', async () =>
    (await inputs.proxies()).map(proxy => apiProxy(proxy, inputs.snapshot())),
  )
  app.get<{ Params: { id: string } }>('/api/v1/proxies/:id/config', async ({ params: { id } }, reply) => {
    const config = await inputs.proxyConfig(id)
    if (!config) return found(reply, undefined, `no proxy ${id} is connected`)
    return apiProxyConfig(config, byKey(inputs.resources()), hub.scraper.stateOf(podOf({ id }))?.certificate)
  })
  app.get('/api/v1/problems', () => hub.problems())
  app.get('/api/v1/statuses', () => apiStatuses(inputs.resources(), inputs.snapshot()))
  app.get('/api/v1/objects', async (): Promise<readonly ApiObject[]> => inputs.objects())
  app.get('/api/v1/registered', () => apiRegistered(inputs.resources()))
  app.get('/api/v1/resources', async () => resourceSummaries(await hub.resourceInputs()))
  const resource = async (reply: FastifyReply, key: string) =>
    found(reply, resourceDetail(key, await hub.resourceInputs()), `there is no ${key}`)
  app.get<{ Params: { kind: string; namespace: string; name: string } }>(
    '/api/v1/resources/:kind/:namespace/:name',
    ({ params: { kind, namespace, name } }, reply) => resource(reply, `${kind}/${namespace}/${name}`),
  )
  app.get<{ Params: { kind: string; name: string } }>(
    '/api/v1/resources/:kind/:name',
    ({ params: { kind, name } }, reply) => resource(reply, `${kind}//${name}`),
  )
  app.get<{ Querystring: Query<'service' | 'workload' | 'party' | 'from' | 'to'> }>(
    '/api/v1/timeseries',
    ({ query }, reply) => {
      const wanted = seriesQuery(query)
      return wanted
        ? hub.trafficViews.timeSeries(indexOf(inputs.snapshot()), clock.now(), wanted)
        : reply.code(400).send({
            error:
              'say what of: ?service=<hostname>, ?workload=<namespace>/<name>, ?party=<namespace>/<name>, ?from= or ?to=',
          })
    },
  )
  app.get<{ Querystring: Query<'party' | 'since'> }>('/api/v1/calls', ({ query }, reply) => {
    const parties = all(query.party)
    if (parties.length === 0)
      return reply.code(400).send({ error: 'say whose: ?party=<namespace>/<name>, several times if need be' })
    const since = Number(one(query.since) ?? 0) || 0
    return hub.trafficViews.calls(indexOf(inputs.snapshot()), clock.now(), parties, since)
  })
  app.post<{ Body: readonly HubSpan[] }>('/api/v1/spans', { schema: { body: SPANS_SCHEMA } }, ({ body }) => {
    hub.addSpans(body)
    return { accepted: body.length }
  })
  app.get('/api/v1/events', (_request, reply) => {
    const stream = hub.events.open()
    return stream
      ? reply.type('text/event-stream').header('x-accel-buffering', 'no').send(stream)
      : reply.code(503).send({ error: 'too many pages listen already: close one, or ask without events' })
  })
}

/** Query parameters: given twice, one is a list. */
type Query<K extends string> = Partial<Record<K, string | readonly string[]>>

function one(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'object' ? value[0] : value
}

function all(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value
}

function seriesQuery(
  query: Query<'service' | 'workload' | 'party' | 'from' | 'to'>,
): SeriesQuery | undefined {
  const service = one(query.service)
  if (service) return { service }
  const workload = one(query.workload)
  if (workload) return { workload }
  const party = one(query.party)
  if (party) return { party }
  const [from, to] = [one(query.from), one(query.to)]
  return from || to ? { from: from || undefined, to: to || undefined } : undefined
}

function found<T>(reply: FastifyReply, value: T | undefined, message: string): T | FastifyReply {
  return value ?? reply.code(404).send({ error: message })
}

/** Seconds, from 10 to a quarter of an hour. */
function windowOf(text: string | undefined): number {
  const seconds = Number.parseInt(text ?? '60', 10)
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 10), 900) : 60
}
