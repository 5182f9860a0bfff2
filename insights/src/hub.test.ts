import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { FakeClock, type Problem, silentLogger } from '@seine/kit'
import { MeshModel } from '@seine/model'
import { eventually } from '@seine/testing'
import { objectYaml, podYaml, resourcesOf, serviceYaml } from '@seine/testing/unit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Agents } from '../test/agents.ts'
import { type CallOptions, requests, sidecarLines } from '../test/metrics-text.ts'
import type { HubEvent } from './api-types.ts'
import { Hub } from './hub.ts'
import type { HubInputs, HubProxy, HubProxyConfig } from './hub-inputs.ts'

const NOW = Date.UTC(2026, 0, 1)
const INTERVAL_MS = 5000
const DETAILS = 'details.default.svc.cluster.local'
const VERSION_LABEL = { version: 'v1' }
const YAML = [
  serviceYaml('details'),
  podYaml('web-v1', '127.0.2.1', { labels: { app: 'web', ...VERSION_LABEL } }),
  podYaml('details-v1', '127.0.2.2', { labels: { app: 'details', ...VERSION_LABEL } }),
  objectYaml('networking.istio.io/v1', 'VirtualService', 'details', {
    hosts: ['details'],
    http: [{ route: [{ destination: { host: 'details' } }] }],
  }),
  objectYaml('security.istio.io/v1', 'PeerAuthentication', 'default.istio-system', {
    mtls: { mode: 'STRICT' },
  }),
]
const CALL: CallOptions = { reporter: 'source', from: 'web-v1', to: 'details-v1', service: 'details' }

let agents: Agents
let clock: FakeClock
let hub: Hub
let folder: string
let model: MeshModel
let problems: Problem[]
let findings: Problem[]
let proxies: HubProxy[]

beforeEach(async () => {
  agents = await Agents.start()
  clock = new FakeClock(NOW)
  model = new MeshModel()
  model.apply({ upserts: resourcesOf(...YAML), deletes: [] })
  problems = []
  findings = []
  proxies = ['web-v1', 'details-v1'].map(pod => ({
    id: `sidecar~127.0.2.1~${pod}.default~default.svc.cluster.local`,
    protocol: 'delta',
    connectedAt: NOW - 1000,
    types: { CDS: { resources: 2, state: 'SYNCED', ackedAt: NOW } },
  }))
  folder = await mkdtemp(join(tmpdir(), 'seine-hub-'))
  await mkdir(join(folder, 'assets'))
  await writeFile(join(folder, 'index.html'), '<title>page</title>')
  await writeFile(join(folder, 'assets', 'app-1.js'), 'app')
  const config: HubProxyConfig = { listeners: [], routes: [], clusters: [], endpoints: [], extensions: [] }
  const inputs: HubInputs = {
    snapshot: () => model.snapshot,
    resources: () => model.resources.values(),
    problems: async () => problems,
    findings: async () => findings,
    proxies: async () => proxies,
    objects: async () => [{ inForce: { kind: 'Service' }, reasons: [] }],
    proxyConfig: async id => (proxies.some(proxy => proxy.id === id) ? config : undefined),
    version: '1.2.3',
    envoyVersion: '1.40.0',
    configFolders: ['/etc/seine'],
  }
  hub = new Hub(inputs, {
    host: '127.0.0.1',
    port: 0,
    dashboardFolder: folder,
    scrapeIntervalMs: INTERVAL_MS,
    clock,
    logger: silentLogger,
    metricsPort: agents.port,
  })
})
afterEach(async () => {
  await hub.close()
  await agents.close()
  await rm(folder, { recursive: true, force: true })
})

async function get(path: string, headers: Record<string, string> = {}) {
  return hub.app.inject({ method: 'GET', url: path, headers })
}
const json = async (path: string) => (await get(`/api/v1${path}`)).json()

/** Starts the hub and reads the sidecars twice, a hundred calls apart. */
async function afterTwoRounds(): Promise<void> {
  const serve = (n: number, seconds: number) => {
    agents.serve('127.0.2.1', sidecarLines(100 + seconds) + requests(n, CALL))
    agents.serve('127.0.2.2', sidecarLines(100 + seconds) + requests(n, { ...CALL, reporter: 'destination' }))
  }
  serve(1000, 0)
  await hub.start()
  await eventually(() => expect(hub.scraper.lastRoundAt).toBe(NOW), { everyMs: 5 })
  serve(1100, 5)
  clock.advance(INTERVAL_MS)
  await eventually(() => expect(hub.scraper.lastRoundAt).toBe(NOW + INTERVAL_MS), { everyMs: 5 })
}

describe('the API', () => {
  it('shows one and the same traffic everywhere', async () => {
    await afterTwoRounds()
    const graph = await json('/graph?window=60')
    expect(graph).toMatchObject({ at: NOW + INTERVAL_MS, windowSeconds: 60, coveredSeconds: 5 })
    expect(graph.edges).toMatchObject([
      { id: 'default/web→default/details', mtls: 'all', traffic: { rate: 20 } },
    ])
    const [service] = await json('/services')
    expect(service).toMatchObject({
      hostname: DETAILS,
      node: 'default/details',
      traffic: { rate: 20, p90: 9.5 },
    })
    expect(await json(`/services/${DETAILS}`)).toMatchObject({
      versions: [{ namespace: 'default', workload: 'details-v1', endpoints: 1, traffic: { rate: 20 } }],
      endpointList: [{ address: '127.0.2.2', pod: 'details-v1', mtls: true }],
      inbound: graph.edges,
      outbound: [],
    })
    const [details, web] = await json('/workloads')
    expect(details).toMatchObject({ pod: 'details-v1', traffic: { rate: 20 }, proxy: 'SYNCED', problems: 0 })
    expect(details.certificate).toMatchObject({ serial: '0A', state: 'valid' })
    expect(web).toMatchObject({ pod: 'web-v1', traffic: { rate: 0 } })
    const points = [{ at: NOW + INTERVAL_MS, seconds: 5, rate: 20, responses: { '2xx': 20 } }]
    expect(await json(`/timeseries?service=${DETAILS}`)).toMatchObject({ points })
    expect(await json('/timeseries?workload=default/details-v1')).toMatchObject({ points })
    expect(await json('/timeseries?party=default/details-v1')).toMatchObject({ points })
    expect(await json('/timeseries?party=default/web-v1')).toMatchObject({ points })
    expect(await json('/timeseries?from=default/web&to=default/details')).toMatchObject({ points })
    const calls = { calls: 100, failed: 0, seconds: 5, p90: 9.5 }
    expect(await json('/calls?party=default/web-v1')).toMatchObject(calls)
    // A call from one to another of them counts once.
    expect(await json('/calls?party=default/web-v1&party=default/details-v1')).toMatchObject(calls)
    expect(await json(`/calls?party=default/details-v1&since=${NOW}`)).toMatchObject(calls)
    const none = { calls: 0, failed: 0, seconds: 0 }
    expect(await json(`/calls?party=default/details-v1&since=${NOW + 1}`)).toEqual(none)
    expect(await json('/calls?party=default/other')).toEqual({ ...none, seconds: 5 })
    expect((await get('/api/v1/calls')).statusCode).toBe(400)
  })

  it('lists objects with what is wrong with them, and shows one with what it shapes', async () => {
    const resource = { kind: 'VirtualService', namespace: 'default', name: 'details' }
    findings = [
      { severity: 'info', code: 'IST0118', message: 'is odd', resource },
      { severity: 'warning', code: 'IST0130', message: 'is odder', resource, path: 'spec.http[0]' },
    ]
    const listed = await json('/resources')
    expect(listed.map(({ kind, worst }: { kind: string; worst?: string }) => [kind, worst])).toEqual([
      ['PeerAuthentication', undefined],
      ['Pod', undefined],
      ['Pod', undefined],
      ['Service', undefined],
      ['VirtualService', 'warning'],
    ])
    const shown = await json('/resources/VirtualService/default/details')
    expect(shown).toMatchObject({
      ...resource,
      problems: 2,
      worst: 'warning',
      yaml: { kind: 'VirtualService', spec: { hosts: ['details'] } },
      services: [DETAILS],
      workloads: [{ namespace: 'default', pod: 'details-v1', workload: 'details-v1' }],
    })
    expect(shown.problemList).toMatchObject([{ source: 'analysis' }, { source: 'analysis' }])
    expect((await get('/api/v1/resources/VirtualService/default/none')).statusCode).toBe(404)
  })

  it('shows objects of cluster scope, and of a Secret its names', async () => {
    const secret = `apiVersion: v1\nkind: Secret\nmetadata: {name: cert}\ndata: {tls.key: c2VjcmV0}\n`
    const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n'
    model.apply({ upserts: resourcesOf(secret, namespace), deletes: [] })
    expect(await json('/resources/Namespace/shop')).toMatchObject({ kind: 'Namespace', name: 'shop' })
    const answer = await get('/api/v1/resources/Secret/default/cert')
    expect(answer.json().yaml.data).toEqual({ 'tls.key': '[hidden]' })
    expect(answer.body).not.toContain('c2VjcmV0')
  })

  it('says why each object shapes a service or workload, and at which line', async () => {
    const reasons = (config: { kind: string; reasons: { message: string; line?: number }[] }[]) =>
      config.flatMap(one => one.reasons.map(({ message }) => `${one.kind}: ${message}`))
    const { config } = await json(`/services/${DETAILS}`)
    expect(reasons(config)).toEqual([
      `Service: declares ${DETAILS}`,
      `VirtualService: routes calls to ${DETAILS}`,
      `VirtualService: sends calls to ${DETAILS}`,
      'PeerAuthentication: holds for the whole mesh',
    ])
    expect(config[1].reasons[0]).toMatchObject({ path: 'spec.hosts[0]', line: expect.any(Number) })
    expect(config[1].yaml).toMatchObject({ kind: 'VirtualService', spec: { hosts: ['details'] } })
    const workload = await json('/workloads/default/details-v1')
    expect(workload).toMatchObject({ node: 'default/details', services: [DETAILS], connectedAt: NOW - 1000 })
    expect(workload.types.CDS).toEqual({ resources: 2, state: 'SYNCED', ackedAt: NOW })
    expect(reasons(workload.config)).toContain('Pod: describes it')
    expect(reasons(workload.config)).toContain('PeerAuthentication: holds for the whole mesh')
  })

  it('lists problems of configuration and sidecars, and counts them where they belong', async () => {
    problems = [
      {
        severity: 'error',
        code: 'IST0101',
        message: 'no such host',
        resource: { kind: 'VirtualService', namespace: 'default', name: 'details' },
        path: 'spec.http[0]',
        position: { file: 'a.yaml', line: 3, column: 7 },
      },
    ]
    proxies = proxies.slice(0, 1)
    const listed = await json('/problems')
    expect(listed).toMatchObject([
      {
        source: 'configuration',
        code: 'IST0101',
        name: 'details',
        path: 'spec.http[0]',
        file: 'a.yaml',
        line: 3,
      },
      { source: 'sidecar', code: 'proxy-not-connected', kind: 'Pod', name: 'details-v1' },
    ])
    expect((await json('/services'))[0].problems).toBe(2)
    const counts = (await json('/workloads')).map((one: { problems: number }) => one.problems)
    expect(counts).toEqual([2, 0])
    expect((await json('/workloads/default/details-v1')).problemList).toEqual(listed)
    expect((await json(`/services/${DETAILS}`)).problemList).toEqual(listed)
  })

  it('answers what is not there with 404 and what makes no sense with 400, in words', async () => {
    const answers = [
      ['/services/nobody', 404, 'there is no service nobody'],
      ['/workloads/default/nobody', 404, 'there is no workload default/nobody'],
      ['/traces/1', 404, 'there is no trace 1, or it is no longer kept'],
      ['/proxies/nobody/config', 404, 'no proxy nobody is connected'],
      ['/nothing', 404, 'nothing is served at /api/v1/nothing'],
      [
        '/timeseries',
        400,
        'say what of: ?service=<hostname>, ?workload=<namespace>/<name>, ?party=<namespace>/<name>, ?from= or ?to=',
      ],
    ] as const
    await hub.start()
    for (const [path, status, error] of answers) {
      const answer = await get(`/api/v1${path}`)
      expect([answer.statusCode, answer.json().error]).toEqual([status, error])
    }
  })

  it('passes on why the control plane does not answer', async () => {
    const away = Object.assign(new Error('pilot does not answer at http://pilot'), { statusCode: 503 })
    hub.inputs.proxies = () => Promise.reject(away)
    const answer = await get('/api/v1/proxies')
    expect(answer.statusCode).toBe(503)
    expect(answer.json()).toEqual({ error: away.message, statusCode: 503 })
  })

  it('goes on with what pilot told last while it is away, and says so', async () => {
    problems = [{ severity: 'warning', code: 'x', message: 'y' }]
    expect((await json('/problems')).map(({ code }: { code: string }) => code)).toEqual(['x'])
    hub.inputs.proxies = () => Promise.reject(new Error('pilot does not answer'))
    expect(await json('/problems')).toMatchObject([
      {
        source: 'hub',
        severity: 'error',
        code: 'pilot-away',
        message: expect.stringContaining('does not answer'),
      },
      { source: 'configuration', code: 'x' },
    ])
    expect((await json('/workloads')).map(({ proxy }: { proxy: string }) => proxy)).toEqual([
      'SYNCED',
      'SYNCED',
    ])
  })

  it('tells how sidecars are read', async () => {
    expect((await json('/version')).scrape).toEqual({ intervalMs: INTERVAL_MS, coveredMs: 0, series: 0 })
    await afterTwoRounds()
    expect(await json('/version')).toMatchObject({
      version: '1.2.3',
      trustDomain: 'cluster.local',
      scrape: { at: NOW + INTERVAL_MS, coveredMs: 5000, series: 2 },
    })
  })
})

describe('spans', () => {
  const SPAN = {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    parentSpanId: '',
    name: 'GET /',
    kind: 'server',
    startUs: 1_700_000_000_000_000,
    durationUs: 1500,
    service: 'web',
    error: false,
    attributes: { 'http.method': 'GET' },
  }
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    hub.app.inject({
      method: 'POST',
      url: '/api/v1/spans',
      headers: { 'content-type': 'application/json', ...headers },
      payload: typeof body === 'string' ? body : JSON.stringify(body),
    })

  it('are taken', async () => {
    const answer = await post([SPAN, { ...SPAN, spanId: 'b7ad6b7169203332', parentSpanId: SPAN.spanId }])
    expect(answer.json()).toEqual({ accepted: 2 })
    expect((await json('/traces')).map(({ spans }: { spans: number }) => spans)).toEqual([2])
    expect((await json(`/traces/${SPAN.traceId}`)).spanList).toHaveLength(2)
  })

  it('are refused with a reason when one is none, and then none is taken', async () => {
    const bad: [unknown, string][] = [
      [{}, 'body must be array'],
      [[SPAN, null], 'body/1 must be object'],
      [[{ ...SPAN, traceId: '__proto__' }], 'body/0/traceId must match pattern "^[0-9a-f]{32}$"'],
      [[{ ...SPAN, startUs: '1' }], 'body/0/startUs must be number'],
      [[{ ...SPAN, durationUs: -1 }], 'body/0/durationUs must be >= 0'],
      [[{ ...SPAN, kind: 'other' }], 'body/0/kind must be equal to one of the allowed values'],
      [[{ ...SPAN, attributes: { a: 1 } }], 'body/0/attributes/a must be string'],
      [[{ ...SPAN, more: 1 }], 'body/0 must NOT have additional properties'],
      [[SPAN, { ...SPAN, service: undefined }], "body/1 must have required property 'service'"],
      [[{ ...SPAN, name: 'x'.repeat(5000) }], 'body/0/name must NOT have more than 4096 characters'],
      [Array.from({ length: 5001 }, () => SPAN), 'body must NOT have more than 5000 items'],
    ]
    for (const [body, error] of bad) {
      const answer = await post(body)
      expect(answer.json()).toEqual({ error, statusCode: 400 })
    }
    expect(await json('/traces')).toEqual([])
  })

  it('are refused when they are no JSON, too much, or from another page', async () => {
    expect((await post('not json')).statusCode).toBe(400)
    expect((await post('[]', { 'content-type': 'text/plain' })).statusCode).toBe(415)
    expect((await post(`["${'x'.repeat(5 << 20)}"]`)).statusCode).toBe(413)
    expect((await post([SPAN], { origin: 'https://evil.example.com' })).statusCode).toBe(403)
    expect(await json('/traces')).toEqual([])
  })
})

describe('pages', () => {
  it('are the dashboard; what the build or the API does not have is 404', async () => {
    await hub.start()
    for (const path of ['/', '/services/details.default.svc.cluster.local', '/assets-of-mine']) {
      const page = await get(path)
      expect([page.statusCode, page.headers['content-type'], page.body]).toEqual([
        200,
        'text/html; charset=utf-8',
        '<title>page</title>',
      ])
    }
    const asset = await get('/assets/app-1.js')
    expect([asset.statusCode, asset.body]).toEqual([200, 'app'])
    expect(asset.headers['cache-control']).toBe('public, max-age=31536000, immutable')
    for (const path of ['/assets/app-0.js', '/assets/', '/assets', '/api', '/api/', '/api/v2/graph']) {
      const missing = await get(path)
      expect([path, missing.statusCode]).toEqual([path, 404])
      expect(missing.json()).toEqual({ error: `nothing is served at ${path}` })
    }
    expect((await hub.app.inject({ method: 'POST', url: '/services' })).statusCode).toBe(404)
    await writeFile(`${folder}.txt`, 'beside it')
    for (const path of [`/../${basename(folder)}.txt`, `/..%2f${basename(folder)}.txt`, '/%00', '/%zz'])
      expect((await get(path)).body).not.toContain('beside it')
    await rm(`${folder}.txt`)
    await writeFile(join(folder, 'assets', 'app-2.js'), 'built again')
    expect((await get('/assets/app-2.js')).body).toBe('built again')
  })

  it('and answers carry headers that keep others out', async () => {
    await hub.start()
    for (const path of ['/', '/assets/app-1.js', '/api/v1/graph', '/api/v1/nothing', '/assets/none']) {
      const { headers } = await get(path)
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
      expect(headers['content-security-policy']).toContain("default-src 'self'")
      expect(headers['x-content-type-options']).toBe('nosniff')
      expect(headers['x-frame-options']).toBe('DENY')
    }
    expect((await get('/api/v1/graph')).headers['cache-control']).toBe('no-store')
  })

  it('are refused under names that are not served here', async () => {
    const answer = await get('/api/v1/graph', { host: 'evil.example.com' })
    expect([answer.statusCode, answer.json()]).toEqual([
      403,
      { error: 'the host "evil.example.com" is not served here' },
    ])
    expect(answer.headers['x-content-type-options']).toBe('nosniff')
  })
})

describe('events', () => {
  /** Listens as a browser does. */
  function listen() {
    const { port } = hub.app.server.address() as AddressInfo
    const events: HubEvent[] = []
    const headers: Record<string, unknown> = {}
    const call = request({ port, path: '/api/v1/events', host: '127.0.0.1' }, response => {
      Object.assign(headers, response.headers, { status: response.statusCode })
      response.on('data', (chunk: Buffer) => {
        for (const [, data = ''] of chunk.toString().matchAll(/^data: (.*)$/gm))
          events.push(JSON.parse(data) as HubEvent)
      })
    })
    call.on('error', () => {})
    call.end()
    return { events, headers, close: () => call.destroy() }
  }

  it('tell of rounds, configuration and proxies', async () => {
    await afterTwoRounds()
    const { events, headers, close } = listen()
    await eventually(() => expect(hub.events.clients).toBe(1), { everyMs: 5 })
    const types = () => events.map(({ type }) => type)
    clock.advance(INTERVAL_MS)
    await eventually(() => expect(types()).toEqual(['scrape']), { everyMs: 5 })
    expect(events[0]).toEqual({ type: 'scrape', at: NOW + 2 * INTERVAL_MS })
    expect(headers).toMatchObject({
      status: 200,
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    model.apply({ upserts: resourcesOf(serviceYaml('new', { clusterIP: '10.96.9.9' })), deletes: [] })
    proxies = proxies.slice(1)
    clock.advance(1000)
    await eventually(() => expect(types()).toEqual(['scrape', 'config', 'proxies']), { everyMs: 5 })
    close()
    await eventually(() => expect(hub.events.clients).toBe(0), { everyMs: 5 })
  })

  it('end when the hub does', async () => {
    await hub.start()
    listen()
    await eventually(() => expect(hub.events.clients).toBe(1), { everyMs: 5 })
    await hub.close()
    expect(hub.events.clients).toBe(0)
  })

  it('are refused when too many listen', async () => {
    for (let n = 0; n < 64; n++) hub.events.open()
    const answer = await get('/api/v1/events')
    expect([answer.statusCode, answer.json().error]).toEqual([
      503,
      'too many pages listen already: close one, or ask without events',
    ])
  })
})
