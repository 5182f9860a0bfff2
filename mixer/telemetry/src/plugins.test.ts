import type { JsonObject } from '@bufbuild/protobuf'
import { meshOf, podYaml, renderJson, serviceYaml, sidecar } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { accessLogPlugin } from './access-log.ts'
import { metricsPlugin } from './metrics.ts'
import { tracingPlugin } from './tracing.ts'

const PORTS = [
  { name: 'http', port: 80, targetPort: 8080 },
  { name: 'tcp', port: 9000 },
]
const settings = (text: string) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio', namespace: 'istio-system' },
    data: { mesh: text },
  })

/** The listeners of a workload `web`, which also calls itself. */
function listeners(config = ''): JsonObject[] {
  const snapshot = meshOf(settings(config), serviceYaml('web', { ports: PORTS }), podYaml('web', '10.1.0.1'))
  const labels = { app: 'shop', version: 'v7' }
  const metadata = { LABELS: { ...labels, app: 'web' }, WORKLOAD_NAME: 'web-deployment' }
  const proxy = sidecar('web', { address: '10.1.0.1', metadata })
  return [...renderJson(snapshot, proxy, [metricsPlugin, accessLogPlugin, tracingPlugin]).listeners]
}

/** The filter chain of a name in a listener, and its last filter's settings. */
function chain(listener: string, name: string, config?: string): JsonObject {
  const found = listeners(config).find(one => one['name'] === listener)
  const chains = [
    ...((found?.['filterChains'] ?? []) as JsonObject[]),
    found?.['defaultFilterChain'] as JsonObject,
  ]
  const filters = chains.find(one => one?.['name'] === name)?.['filters'] as JsonObject[]
  return filters.at(-1)?.['typedConfig'] as JsonObject
}

const REQUESTS_OUT = ['0.0.0.0_80', 'http'] as const
const REQUESTS_IN = ['virtualInbound', 'inbound|8080||mtls'] as const
const PLAIN_REQUESTS_IN = ['virtualInbound', 'inbound|8080||plaintext-http'] as const
const CONNECTIONS_OUT = ['10.96.0.10_9000', 'web.default.svc.cluster.local:9000'] as const
const CONNECTIONS_IN = ['virtualInbound', 'inbound|9000||mtls'] as const
const EVERYWHERE: readonly (readonly [string, string])[] = [
  REQUESTS_OUT,
  REQUESTS_IN,
  PLAIN_REQUESTS_IN,
  CONNECTIONS_OUT,
  CONNECTIONS_IN,
]

interface Stat {
  readonly stat: {
    readonly name: string
    readonly tags: readonly { readonly name: string; readonly valueFormat?: string }[]
  }
  readonly unit?: string
  readonly valueFormat?: string
}

function stats(place: readonly [string, string]): { metrics: string[]; labels: Record<string, string>[] } {
  const loggers = (chain(...place)['accessLog'] as JsonObject[])
    .filter(({ name }) => name === 'envoy.access_loggers.stats')
    .map(
      ({ typedConfig }) =>
        typedConfig as unknown as { statsScope: { prefix: string }; counters?: Stat[]; histograms?: Stat[] },
    )
  const found = loggers.flatMap(({ statsScope, counters = [], histograms = [] }) =>
    [...counters, ...histograms].map(one => ({ name: `${statsScope.prefix}_${one.stat.name}`, ...one })),
  )
  const labels = found.map(({ stat }) =>
    Object.fromEntries(stat.tags.map(tag => [tag.name, tag.valueFormat ?? ''])),
  )
  return { metrics: found.map(({ name }) => name), labels }
}

/** Istio's standard labels, https://istio.io/latest/docs/reference/config/metrics/. */
const LABELS = [
  'reporter',
  'source_workload',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'source_canonical_service',
  'source_canonical_revision',
  'destination_workload',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_service',
  'destination_service_name',
  'destination_service_namespace',
  'destination_cluster',
  'destination_canonical_service',
  'destination_canonical_revision',
  'request_protocol',
  'response_flags',
  'connection_security_policy',
]
const REQUEST_LABELS = [...LABELS, 'response_code', 'grpc_response_status']

describe('metrics', () => {
  it.each([
    ['of calls', REQUESTS_OUT],
    ['of what arrives', REQUESTS_IN],
    ['of what arrives in plaintext', PLAIN_REQUESTS_IN],
  ])('%s: those of requests, with Istio’s names and labels', (_what, place) => {
    const { metrics, labels } = stats(place)
    expect(metrics.sort()).toEqual([
      'istio_request_bytes',
      'istio_request_duration_milliseconds',
      'istio_requests_total',
      'istio_response_bytes',
    ])
    for (const one of labels) expect(Object.keys(one).sort()).toEqual([...REQUEST_LABELS].sort())
  })

  it.each([
    ['of calls', CONNECTIONS_OUT],
    ['of what arrives', CONNECTIONS_IN],
  ])('%s: those of connections, with Istio’s names and labels', (_what, place) => {
    const { metrics, labels } = stats(place)
    expect(metrics.sort()).toEqual([
      'istio_tcp_connections_closed_total',
      'istio_tcp_connections_opened_total',
      'istio_tcp_received_bytes_total',
      'istio_tcp_sent_bytes_total',
    ])
    for (const one of labels) expect(Object.keys(one).sort()).toEqual([...LABELS].sort())
  })

  it('know the caller as itself on its own side', () => {
    expect(stats(REQUESTS_OUT).labels[0]).toMatchObject({
      reporter: 'source',
      source_workload: 'web-deployment',
      source_workload_namespace: 'default',
      source_app: 'web',
      source_version: 'v7',
      destination_workload: '%METADATA(UPSTREAM_HOST:istio:workload)%',
      destination_service: '%METADATA(ROUTE:istio:destination_service)%',
    })
  })

  it('know the service of a connection from where it goes', () => {
    expect(stats(CONNECTIONS_OUT).labels[0]).toMatchObject({
      destination_service: 'web.default.svc.cluster.local',
      destination_service_name: 'web',
      destination_service_namespace: 'default',
      request_protocol: 'tcp',
    })
  })

  it('know the caller from its certificate on the other side, and nothing of it without one', () => {
    expect(stats(REQUESTS_IN).labels[0]).toMatchObject({
      reporter: 'destination',
      source_workload: '%FILTER_STATE(seine.peer.workload:PLAIN)%',
      source_principal: '%DOWNSTREAM_PEER_URI_SAN%',
      destination_workload: 'web-deployment',
      destination_service: 'web.default.svc.cluster.local',
      connection_security_policy: 'mutual_tls',
    })
    expect(stats(PLAIN_REQUESTS_IN).labels[0]).toMatchObject({
      reporter: 'destination',
      connection_security_policy: 'none',
      destination_principal: 'unknown',
    })
  })

  it('count connections when they open, and the rest when they end', () => {
    const loggers = (chain(...CONNECTIONS_IN)['accessLog'] as JsonObject[]).filter(one =>
      String(one['name']).endsWith('stats'),
    )
    const types = loggers.map(({ filter, typedConfig }) => [
      (filter as { logTypeFilter: { types: string[] } }).logTypeFilter.types,
      ((typedConfig as JsonObject)['counters'] as unknown as Stat[]).map(({ stat }) => stat.name),
    ])
    expect(types).toEqual([
      [['TcpUpstreamConnected'], ['tcp_connections_opened_total']],
      [
        ['TcpConnectionEnd'],
        ['tcp_connections_closed_total', 'tcp_sent_bytes_total', 'tcp_received_bytes_total'],
      ],
    ])
  })
})

describe('access logs', () => {
  const log = (config?: string): JsonObject[][] =>
    EVERYWHERE.map(place =>
      (chain(...place, config)['accessLog'] as JsonObject[]).filter(
        one => !String(one['name']).endsWith('stats'),
      ),
    )

  it('have one line for each connection, although its opening is told of too', () => {
    const filters = log().map(([one]) => one?.['filter'])
    const ends = { logTypeFilter: { types: ['TcpConnectionEnd'] } }
    const isConnection = (place: readonly string[]) => place === CONNECTIONS_OUT || place === CONNECTIONS_IN
    expect(filters).toEqual(EVERYWHERE.map(place => (isConnection(place) ? ends : undefined)))
  })

  it('are JSON on standard output unless told otherwise, on both sides, of requests and connections', () => {
    for (const found of log()) {
      expect(found).toEqual([expect.objectContaining({ name: 'envoy.access_loggers.stdout' })])
      const fields = JSON.stringify(found)
      for (const field of [
        'start_time',
        'response_code',
        'response_flags',
        'upstream_cluster',
        'downstream_peer',
        'trace_id',
      ])
        expect(fields).toContain(`"${field}":`)
    }
  })

  it('go to a file, as text with one line each', () => {
    for (const found of log('accessLogFile: /var/log/mesh.log\naccessLogEncoding: TEXT')) {
      const [{ name, typedConfig }] = found as [{ name: string; typedConfig: JsonObject }]
      expect(name).toBe('envoy.access_loggers.file')
      expect(typedConfig['path']).toBe('/var/log/mesh.log')
      expect(JSON.stringify(typedConfig['logFormat'])).toMatch(/\[%START_TIME%\].+%ROUTE_NAME%\\n"/)
    }
  })

  it('are not written at all when they go nowhere', () => {
    expect(log('accessLogFile: ""')).toEqual(EVERYWHERE.map(() => []))
  })
})

describe('traces', () => {
  const tracing = (place: readonly [string, string], config?: string) =>
    chain(...place, config)['tracing'] as JsonObject | undefined

  it('are of requests, named after the workload’s service, and go to the agent’s collector', () => {
    for (const place of [REQUESTS_OUT, REQUESTS_IN, PLAIN_REQUESTS_IN]) {
      const found = tracing(place)
      expect(found?.['randomSampling']).toEqual({ value: 100 })
      expect(JSON.stringify(found?.['provider'])).toContain('"clusterName":"otlp"')
      expect(JSON.stringify(found?.['provider'])).toContain('"serviceName":"web.default"')
    }
    expect(tracing(CONNECTIONS_OUT)).toBeUndefined()
  })

  it('are of as many as the settings say, or of none', () => {
    expect(tracing(REQUESTS_OUT, 'defaultConfig: {tracing: {sampling: 5}}')?.['randomSampling']).toEqual({
      value: 5,
    })
    expect(tracing(REQUESTS_OUT, 'enableTracing: false')).toBeUndefined()
  })
})
