import { request as httpRequest } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { JsonObject, JsonValue } from '@bufbuild/protobuf'
import { kindDefinitions, leafFields } from '@seine/api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { meshOf, objectYaml, podYaml, serviceYaml, sidecar } from './builders.ts'
import { type CaseRequest, type ConformanceCase, readCases } from './conformance-case.ts'
import { EchoBackends, type Seen } from './echo-backends.ts'
import { staticBootstrap } from './envoy-static.ts'
import { eventually } from './eventually.ts'
import { renderJson } from './rendered.ts'
import { type RunningEnvoy, startEnvoy } from './running-envoy.ts'

const FOLDER = fileURLToPath(new URL('../../conformance', import.meta.url))
const BACKENDS = new Map([
  ['127.0.1.1', 'web-v1'],
  ['127.0.1.2', 'web-v2'],
  ['127.0.1.3', 'web-v3'],
  ['127.0.2.1', 'api-v1'],
])

/** What every case has: two services and their pods, which have no sidecars, and the versions as subsets. */
function baseMesh(port: number, own: readonly { readonly kind?: string }[]): string[] {
  const ports = [
    { name: 'http', port: 80, targetPort: port },
    { name: 'http-more', port: 8080, targetPort: port },
  ]
  const pods = [...BACKENDS].map(([address, name]) => {
    const [app = '', version = ''] = name.split('-')
    return podYaml(name, address, { meshed: false, labels: { app, version } })
  })
  const subsets = ['v1', 'v2', 'v3'].map(version => ({ name: version, labels: { version } }))
  const rule = objectYaml('networking.istio.io/v1', 'DestinationRule', 'web', { host: 'web', subsets })
  return [
    serviceYaml('web', { ports }),
    serviceYaml('api', { clusterIP: '10.96.0.11', ports }),
    ...pods,
    ...(own.some(({ kind }) => kind === 'DestinationRule') ? [] : [rule]),
  ]
}

/** The client's own configuration, its listeners for HTTP bound to free ports of loopback. */
function bootstrapOf({ client, objects, parsed }: ConformanceCase, port: number): JsonObject {
  const { namespace = 'default', labels = { app: 'client' } } = client
  const snapshot = meshOf(...baseMesh(port, parsed), objects)
  expect(snapshot.problems).toEqual([])
  const proxy = sidecar(`client.${namespace}`, { labels, virtualHostDiscovery: false })
  const whole = staticBootstrap(renderJson(snapshot, proxy, []))
  const resources = whole['staticResources'] as JsonObject
  const listeners = (resources['listeners'] as JsonObject[]).flatMap(listener => {
    const chains = (listener['filterChains'] ?? []) as JsonObject[]
    const http = chains.find(({ name }) => name === 'http')
    if (!http || !String(listener['name']).startsWith('0.0.0.0_')) return []
    const address = { socketAddress: { address: '127.0.0.1', portValue: 0 } }
    return [
      { name: String(listener['name']), address, filterChains: [{ filters: http['filters'] as JsonValue }] },
    ]
  })
  return {
    ...whole,
    admin: { address: { socketAddress: { address: '127.0.0.1', portValue: 0 } } },
    staticResources: { ...resources, listeners },
  }
}

const GAVE_UP = 'the client gave up'

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
  readonly seen: Seen | undefined
}

function send(
  port: number,
  { url, method = 'GET', headers = {}, giveUpMs = 10_000 }: CaseRequest,
  id: string,
): Promise<Answer> {
  const { host, pathname, search } = new URL(url)
  const path = /^[a-z]+:\/\/[^/]*(.*)$/.exec(url)?.[1] || pathname + search
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      method,
      path,
      agent: false,
      timeout: giveUpMs,
      headers: { host, 'x-id': id, ...headers },
    }
    const sent = httpRequest(options, response => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('error', reject)
      response.on('end', () => {
        const echoed = response.headers['x-own'] === 'backend' || body.startsWith('{"backend"')
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers as Answer['headers'],
          body,
          seen: echoed ? (JSON.parse(body) as Seen) : undefined,
        })
      })
    })
    sent.on('error', reject)
    sent.on('timeout', () => sent.destroy(new Error(GAVE_UP)))
    sent.end()
  })
}

async function sendAll(port: number, request: CaseRequest, id: string): Promise<Answer[]> {
  const { times = 1, together = 1 } = request
  const answers: Answer[] = []
  while (answers.length < times) {
    const batch = Math.min(together, times - answers.length)
    answers.push(...(await Promise.all(Array.from({ length: batch }, () => send(port, request, id)))))
  }
  return answers
}

function check({ expect: wanted, times = 1 }: CaseRequest, answers: readonly Answer[]): void {
  const count = (of: (answer: Answer) => string | undefined) => {
    const counts: Record<string, number> = {}
    for (const answer of answers) {
      const key = of(answer)
      if (key !== undefined) counts[key] = (counts[key] ?? 0) + 1
    }
    return counts
  }
  const backends = count(({ seen }) => seen?.backend)
  const at = `${JSON.stringify(answers[0], null, 1)}`
  if (wanted.status !== undefined)
    expect(
      count(one => String(one.status)),
      at,
    ).toEqual({ [wanted.status]: times })
  if (wanted.mixed) expect(Object.keys(count(one => String(one.status))).sort(), at).toEqual(wanted.mixed)
  if (wanted.backends) expect(Object.keys(backends).sort(), at).toEqual([...wanted.backends].sort())
  if (wanted.stuck) expect(Object.keys(backends), at).toHaveLength(1)
  for (const [name, share] of Object.entries(wanted.shares ?? {}))
    expect(
      Math.abs((backends[name] ?? 0) / times - share),
      `${name} of ${JSON.stringify(backends)}`,
    ).toBeLessThan(0.1)
  const [answer] = answers
  if (!answer) return
  if (wanted.body !== undefined) expect(answer.body).toBe(wanted.body)
  for (const [name, value] of Object.entries(wanted.headers ?? {}))
    expect(answer.headers[name] ?? null, `${name}: ${at}`).toBe(value)
  if (wanted.seen?.method !== undefined) expect(answer.seen?.method, at).toBe(wanted.seen.method)
  if (wanted.seen?.path !== undefined) expect(answer.seen?.path, at).toBe(wanted.seen.path)
  for (const [name, value] of Object.entries(wanted.seen?.headers ?? {}))
    expect(answer.seen?.headers[name] ?? null, `${name}: ${at}`).toBe(value)
}

const CASES = readCases(FOLDER)

describe('conformance: requests through a real Envoy', () => {
  const backends = new EchoBackends(BACKENDS)
  let port = 0
  beforeAll(async () => {
    port = await backends.start()
  })
  afterAll(() => backends.stop())

  it.each(CASES.map(one => [one.name, one] as const))('%s', async (name, one) => {
    const envoy: RunningEnvoy = await startEnvoy(bootstrapOf(one, port))
    try {
      for (const [index, request] of one.requests.entries()) {
        const id = `${name}#${index}`
        const asked = new URL(request.url).port || '80'
        const sent = sendAll(envoy.portOf(`0.0.0.0_${asked}`), request, id)
        if (request.expect.answered === false) await expect(sent).rejects.toThrow(GAVE_UP)
        else check(request, await sent)
        const { arrivals } = request.expect
        // Mirrors arrive in their own time.
        if (arrivals) await eventually(async () => expect(backends.arrivals(id)).toEqual(arrivals))
      }
    } finally {
      await envoy.stop()
    }
  })
})

/** Fields that no request through one Envoy can show, and why. */
const NOT_SHOWN: Readonly<Record<string, string>> = {
  'VirtualService http.*.fault.delay.exponentialDelay': 'refused, as in Istio',
  'VirtualService http.*.fault.abort.http2Error': 'refused, as in Istio',
  'VirtualService http.*.match.*.statPrefix': 'names statistics',
  'VirtualService http.*.match.*.name': 'names routes in logs',
  'VirtualService http.*.name': 'names routes in logs',
  'VirtualService http.*.match.*.gateways.*': 'e2e/src/mesh/ingress.test.ts',
  'VirtualService http.*.match.*.scheme.exact': 'what a sidecar takes is http',
  'VirtualService http.*.match.*.scheme.prefix': 'what a sidecar takes is http',
  'VirtualService http.*.match.*.scheme.regex': 'what a sidecar takes is http',
  'VirtualService http.*.delegate.name': 'goldens, and the delegate task',
  'VirtualService http.*.delegate.namespace': 'goldens, and the delegate task',
  'VirtualService http.*.retries.retryRemoteLocalities': 'endpoints of one locality',
}

describe('each field of a virtual service’s HTTP routes has a case', () => {
  const fields = leafFields(kindDefinitions.find(({ kind }) => kind === 'VirtualService')?.schema as never)
  const http = fields.filter(([first]) => first === 'http').map(path => path.map(step => step))
  it.each(
    http.map(path => path.join('.')).filter(path => !(`VirtualService ${path}` in NOT_SHOWN)),
  )('%s', path => {
    const shown = CASES.some(({ parsed }) =>
      parsed.some(({ kind, spec }) => kind === 'VirtualService' && holds(spec, path.split('.'))),
    )
    expect(shown).toBe(true)
  })
})

function holds(value: unknown, [step, ...rest]: readonly string[]): boolean {
  if (step === undefined) return value !== undefined
  if (typeof value !== 'object' || value === null) return false
  if (step === '*') return Object.values(value).some(inner => holds(inner, rest))
  return holds((value as Record<string, unknown>)[step], rest)
}
