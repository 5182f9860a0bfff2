import type { MeshSnapshot } from '@seine/model'
import { meshOf, objectYaml, podYaml, serviceYaml } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { type CallOptions, connections, requests, sidecarLines } from '../test/metrics-text.ts'
import type { Graph } from './api-types.ts'
import { indexOf } from './mesh-index.ts'
import { parsePrometheus } from './prometheus-text.ts'
import { TRAFFIC_FAMILIES } from './target-counters.ts'
import { TrafficStore } from './traffic-store.ts'
import { TrafficViews } from './traffic-view.ts'

const FAMILIES: ReadonlySet<string> = new Set(TRAFFIC_FAMILIES)
const SECONDS = 10

const pod = (name: string, address: string, more: { app?: string; meshed?: boolean } = {}) => {
  const dash = name.lastIndexOf('-')
  const labels = { app: more.app ?? name.slice(0, dash), version: name.slice(dash + 1) }
  return podYaml(name, address, { labels, meshed: more.meshed ?? true })
}

const MESH = meshOf(
  serviceYaml('details'),
  serviceYaml('reviews', { clusterIP: '10.96.0.11' }),
  serviceYaml('ledger', { clusterIP: '10.96.0.12', ports: [{ name: 'tcp', port: 9000 }] }),
  serviceYaml('shared', { clusterIP: '10.96.0.13', selector: { tier: 'back' } }),
  pod('web-v1', '10.1.0.1'),
  pod('details-v1', '10.1.0.2'),
  pod('reviews-v1', '10.1.0.3'),
  pod('reviews-v2', '10.1.0.4'),
  pod('ledger-v1', '10.1.0.5'),
)

/** The mesh's traffic after so many calls in ten seconds. */
function viewsOf(texts: Readonly<Record<string, string>>): TrafficViews {
  const store = new TrafficStore()
  for (const second of [0, SECONDS]) {
    for (const [target, text] of Object.entries(texts)) {
      const lines = `${sidecarLines(100 + second)}${second === 0 ? '' : text}`
      store.take(target, parsePrometheus(lines, FAMILIES), second * 1000)
    }
    store.endRound(second * 1000)
  }
  return new TrafficViews(store)
}

function graphOf(texts: Readonly<Record<string, string>>, mesh: MeshSnapshot = MESH): Graph {
  return viewsOf(texts).window(indexOf(mesh), SECONDS * 1000).graph
}

const source = (to: string, more: Partial<CallOptions> = {}): CallOptions => ({
  reporter: 'source',
  from: 'web-v1',
  to,
  service: to.slice(0, to.lastIndexOf('-')),
  ...more,
})
const destination = (to: string, more: Partial<CallOptions> = {}): CallOptions => ({
  ...source(to),
  reporter: 'destination',
  ...more,
})
const nowhere = (service: string, more: Partial<CallOptions>): CallOptions => {
  const { to: _, ...call } = source(`${service}-v1`, more)
  return call
}

function edge(graph: Graph, id: string) {
  const found = graph.edges.find(one => one.id === id)
  if (!found) throw new Error(`there is no edge ${id} but ${graph.edges.map(one => one.id).join(', ')}`)
  return found
}

function node(graph: Graph, id: string) {
  const found = graph.nodes.find(one => one.id === id)
  if (!found) throw new Error(`there is no node ${id} but ${graph.nodes.map(one => one.id).join(', ')}`)
  return found
}

describe('an edge', () => {
  it('counts a call once that both sides report, and is as secure as the receiver measured', () => {
    const graph = graphOf({
      web: requests(100, source('details-v1'), [7, 20]),
      details: requests(100, destination('details-v1'), [3]),
    })
    expect(graph.edges).toHaveLength(1)
    expect(edge(graph, 'default/web→default/details')).toMatchObject({
      source: 'default/web',
      target: 'default/details',
      protocol: 'http',
      security: 'mutual_tls',
      mtls: 'all',
      services: ['details.default.svc.cluster.local'],
      traffic: { rate: 10, errorRate: 0, responses: { '2xx': 10 }, p50: 10 },
    })
    expect(node(graph, 'default/details').traffic.rate).toBe(10)
    expect(graph).toMatchObject({ windowSeconds: 60, coveredSeconds: SECONDS })
  })

  it('shows what only the caller knows: faults, nobody there, no answer in time', () => {
    const graph = graphOf({
      web:
        requests(50, source('details-v1')) +
        requests(30, nowhere('details', { code: 503, flags: 'FI' })) +
        requests(10, nowhere('details', { code: 503, flags: 'UH' })) +
        requests(10, source('details-v1', { code: 504, flags: 'UT' })),
      details: requests(60, destination('details-v1')),
    })
    expect(graph.edges.map(({ id }) => id)).toEqual(['default/web→default/details'])
    expect(edge(graph, 'default/web→default/details').traffic).toMatchObject({
      rate: 10,
      errorRate: 0.5,
      responses: { '2xx': 5, '5xx': 5 },
      flags: { FI: 3, UH: 1, UT: 1 },
    })
    expect(edge(graph, 'default/web→default/details').mtls).toBe('all')
    expect(node(graph, 'default/details').healthy).toBe(false)
    expect(node(graph, 'default/web').healthy).toBe(true)
  })

  it('is the receiver’s report for callers without a sidecar', () => {
    const { from: _, ...stranger } = destination('details-v1', { security: 'none', code: 503 })
    const graph = graphOf({
      web: requests(20, source('details-v1')),
      details: requests(20, destination('details-v1')) + requests(50, stranger),
    })
    expect(edge(graph, 'unknown→default/details')).toMatchObject({
      mtls: 'none',
      security: 'none',
      traffic: { rate: 5, errorRate: 1 },
    })
    expect(edge(graph, 'default/web→default/details')).toMatchObject({ mtls: 'all', traffic: { rate: 2 } })
    expect(node(graph, 'default/details').traffic.rate).toBe(7)
    expect(node(graph, 'unknown')).toMatchObject({ kind: 'unknown', namespace: '', name: 'unknown' })
  })

  it('is the receiver’s report where the caller’s sidecar is not read', () => {
    const graph = graphOf({ details: requests(20, destination('details-v1')) })
    expect(edge(graph, 'default/web→default/details')).toMatchObject({ mtls: 'all', traffic: { rate: 2 } })
  })

  it('does not count plaintext calls of callers in the mesh again as those of strangers', () => {
    const { from: _, ...stranger } = destination('details-v1', { security: 'none' })
    const web = requests(100, source('details-v1', { security: 'none' }))
    // Read a moment later, the receiver has counted a few more.
    const alone = graphOf({ web, details: requests(103, stranger) })
    expect(alone.edges.map(({ id }) => id)).toEqual(['default/web→default/details'])
    expect(edge(alone, 'default/web→default/details')).toMatchObject({ mtls: 'none', traffic: { rate: 10 } })
    const withOthers = graphOf({ web, details: requests(150, stranger) })
    expect(edge(withOthers, 'unknown→default/details').traffic.rate).toBeCloseTo(5)
    expect(node(withOthers, 'default/details').traffic.rate).toBeCloseTo(15)
  })

  it('tells when some calls were in plaintext, and when nobody measured', () => {
    const web =
      requests(100, source('details-v1')) + requests(100, source('details-v1', { security: 'none' }))
    const { from: _, ...stranger } = destination('details-v1', { security: 'none' })
    const both = { web, details: requests(100, destination('details-v1')) + requests(100, stranger) }
    expect(edge(graphOf(both), 'default/web→default/details')).toMatchObject({
      mtls: 'some',
      security: 'mixed',
    })
    const unread = edge(graphOf({ web }), 'default/web→default/details')
    expect(unread).toMatchObject({ mtls: 'unknown', security: 'unmeasured', traffic: { rate: 20 } })
  })

  it('is TCP where only connections are: rates, bytes, failures, and the open ones', () => {
    const ledger = source('ledger-v1', { protocol: 'tcp' })
    const graph = graphOf({
      web:
        connections({ opened: 30, closed: 10, sent: 5000, received: 100 }, ledger) +
        connections({ ended: 10 }, { ...ledger, flags: 'UF,URX' }),
      ledger: connections({ opened: 30, closed: 10 }, { ...ledger, reporter: 'destination' }),
    })
    expect(graph.edges).toHaveLength(1)
    expect(edge(graph, 'default/web→default/ledger')).toMatchObject({
      protocol: 'tcp',
      mtls: 'all',
      traffic: {
        rate: 4,
        errorRate: 0.25,
        flags: { UF: 1, URX: 1 },
        tcp: { connections: 4, open: 20, errorRate: 0.25, sentBytes: 500, receivedBytes: 10 },
      },
    })
    expect(edge(graph, 'default/web→default/ledger').traffic).not.toHaveProperty('responses')
  })

  it('stays while a connection is open on which nothing new happens', () => {
    const store = new TrafficStore()
    const ledger = source('ledger-v1', { protocol: 'tcp' })
    for (const second of [0, 5, 10]) {
      const take = (target: string, text: string) =>
        store.take(target, parsePrometheus(sidecarLines(100 + second) + text, FAMILIES), second * 1000)
      take('web', connections({ opened: 3, closed: 1 }, ledger))
      take('ledger', connections({ opened: 3, closed: 1 }, { ...ledger, reporter: 'destination' }))
      store.endRound(second * 1000)
    }
    const { graph } = new TrafficViews(store).window(indexOf(MESH), 10_000)
    expect(edge(graph, 'default/web→default/ledger')).toMatchObject({
      protocol: 'tcp',
      mtls: 'all',
      traffic: { rate: 0, tcp: { open: 2 } },
    })
  })

  it('is gRPC where all requests are', () => {
    const grpc = { protocol: 'grpc', grpc: '0' } as const
    const details =
      requests(10, source('details-v1', grpc)) + requests(10, source('details-v1', { ...grpc, grpc: '14' }))
    expect(edge(graphOf({ web: details }), 'default/web→default/details')).toMatchObject({
      protocol: 'grpc',
      traffic: { rate: 2, errorRate: 0.5 },
    })
    const mixed = graphOf({ web: details + requests(1, source('details-v1')) })
    expect(edge(mixed, 'default/web→default/details').protocol).toBe('http')
  })

  it('sums up versions', () => {
    const graph = graphOf({
      web: requests(10, source('reviews-v1')) + requests(30, source('reviews-v2')),
      'reviews-v1': requests(10, destination('reviews-v1')),
      'reviews-v2': requests(30, destination('reviews-v2')),
    })
    expect(edge(graph, 'default/web→default/reviews').traffic.rate).toBe(4)
    expect(node(graph, 'default/reviews').versions).toEqual(['v1', 'v2'])
  })
})

describe('a node', () => {
  it('is there for each application with a sidecar, called or not', () => {
    const graph = graphOf({})
    expect(graph.edges).toEqual([])
    expect(node(graph, 'default/ledger')).toEqual({
      id: 'default/ledger',
      name: 'ledger',
      namespace: 'default',
      kind: 'workload',
      versions: ['v1'],
      services: ['ledger.default.svc.cluster.local'],
      traffic: { rate: 0, errorRate: 0 },
      healthy: true,
    })
  })

  it('is a service where its calls reached nobody and several applications serve it', () => {
    const mesh = meshOf(
      serviceYaml('shared', { selector: { tier: 'back' } }),
      podYaml('one', '10.1.0.1', { labels: { app: 'one', tier: 'back' } }),
      podYaml('two', '10.1.0.2', { labels: { app: 'two', tier: 'back' } }),
    )
    const refused = { ...nowhere('shared', { code: 503, flags: 'UH' }) }
    const graph = graphOf({ web: requests(10, refused) }, mesh)
    expect(node(graph, 'default/shared')).toMatchObject({
      kind: 'service',
      services: ['shared.default.svc.cluster.local'],
      healthy: false,
      traffic: { errorRate: 1 },
    })
  })

  it('is the application that serves what was called, under whatever name', () => {
    const mesh = meshOf(serviceYaml('front', { selector: { app: 'shop' } }), pod('shop-v1', '10.1.0.1'))
    const graph = graphOf({ web: requests(10, nowhere('front', { code: 503, flags: 'UH' })) }, mesh)
    expect(graph.edges.map(({ id }) => id)).toEqual(['default/web→default/shop'])
    expect(node(graph, 'default/shop').services).toEqual(['front.default.svc.cluster.local'])
  })

  it('is external where a service outside was called, or none that is known', () => {
    const mesh = meshOf(
      objectYaml('networking.istio.io/v1', 'ServiceEntry', 'quotes', {
        hosts: ['quotes.example.com'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        resolution: 'DNS',
      }),
      pod('web-v1', '10.1.0.1'),
    )
    const web =
      requests(10, nowhere('quotes', { service: 'quotes.example.com' })) +
      requests(10, nowhere('?', { service: 'PassthroughCluster' }))
    const graph = graphOf({ web }, mesh)
    expect(graph.nodes.map(({ id, kind }) => `${id} ${kind}`)).toContain(
      'external/quotes.example.com external',
    )
    expect(node(graph, 'external/quotes.example.com').services).toEqual(['quotes.example.com'])
    expect(edge(graph, 'default/web→external/quotes.example.com').mtls).toBe('unknown')
  })
})

describe('figures of one thing', () => {
  const web =
    requests(30, source('reviews-v1')) +
    requests(50, source('reviews-v2', { code: 500 })) +
    requests(20, nowhere('reviews', { code: 503, flags: 'UH' }))
  const texts = { web, 'reviews-v1': requests(30, destination('reviews-v1')) }
  const hostname = 'reviews.default.svc.cluster.local'

  it('are those of a service, of a version of it, and of a workload', () => {
    const view = viewsOf(texts).window(indexOf(MESH), SECONDS * 1000)
    expect(view.ofService(hostname)).toMatchObject({ rate: 10, errorRate: 0.7 })
    const version = { namespace: 'default', name: 'reviews-v2' }
    expect(view.ofService(hostname, version)).toMatchObject({ rate: 5, errorRate: 1 })
    expect(view.ofWorkload('default', 'reviews-v1')).toMatchObject({ rate: 3, errorRate: 0 })
    expect(view.ofService('nobody.default.svc.cluster.local')).toEqual({ rate: 0, errorRate: 0 })
    expect(view.inbound('default/reviews').map(({ id }) => id)).toEqual(['default/web→default/reviews'])
    expect(view.outbound('default/web').map(({ id }) => id)).toEqual(['default/web→default/reviews'])
    expect(view.outbound('default/reviews')).toEqual([])
  })

  it('are those of a time series of a service, a workload, or an edge', () => {
    const views = viewsOf(texts)
    const series = (query: Parameters<TrafficViews['timeSeries']>[2]) =>
      views.timeSeries(indexOf(MESH), SECONDS * 1000, query).points
    expect(series({ service: hostname })).toMatchObject([
      { at: SECONDS * 1000, seconds: SECONDS, rate: 10, responses: { '2xx': 3, '5xx': 7 } },
    ])
    expect(series({ workload: 'default/reviews-v1' })).toMatchObject([{ rate: 3 }])
    expect(series({ from: 'default/web', to: 'default/reviews' })).toMatchObject([{ rate: 10 }])
    expect(series({ from: undefined, to: 'default/web' })).toEqual([])
  })

  it('are made once for each round and mesh', () => {
    const views = viewsOf(texts)
    const first = views.window(indexOf(MESH), SECONDS * 1000)
    expect(views.window(indexOf(MESH), SECONDS * 1000)).toBe(first)
    expect(views.window(indexOf(MESH), SECONDS * 1000, 300)).not.toBe(first)
    expect(views.window(indexOf({ ...MESH }), SECONDS * 1000)).not.toBe(first)
    expect(views.window(indexOf(MESH), SECONDS * 1000 + 300_000).graph.edges).toEqual([])
  })
})
