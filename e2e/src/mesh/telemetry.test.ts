import { expect, test } from 'vitest'
import {
  Ask,
  describeMesh,
  eventually,
  freshId,
  growthOf,
  type HubSpan,
  PeerPort,
  type Pod,
  type Sample,
} from '../harness/index.ts'

/** What Istio's dashboards and alerts select and group by. */
const CLIENT_TO_MIDDLE = {
  source_workload: 'client-v1',
  source_workload_namespace: 'shop',
  source_canonical_service: 'client',
  source_canonical_revision: 'v1',
  source_app: 'client',
  source_version: 'v1',
  source_principal: 'spiffe://cluster.local/ns/shop/sa/client',
  destination_workload: 'middle-v1',
  destination_workload_namespace: 'shop',
  destination_canonical_service: 'middle',
  destination_canonical_revision: 'v1',
  destination_app: 'middle',
  destination_version: 'v1',
  destination_principal: 'spiffe://cluster.local/ns/shop/sa/middle',
  destination_service: 'middle.shop.svc.cluster.local',
  destination_service_name: 'middle',
  destination_service_namespace: 'shop',
  request_protocol: 'http',
  response_code: '200',
  grpc_response_status: '',
  response_flags: '-',
}

describeMesh('telemetry', mesh => {
  const client = () => mesh().pod('client')
  const middle = () => mesh().pod('middle')

  /** The access-log entries of a pod's sidecar that speak of a path or an address. */
  const accessLog = async (pod: Pod, holds: string): Promise<readonly Record<string, unknown>[]> =>
    (await pod.log('seine-proxy'))
      .filter(line => line.startsWith('{') && line.includes(holds))
      .map(line => JSON.parse(line) as Record<string, unknown>)
      .filter(entry => 'response_code' in entry)

  test('a request is counted once on each side, with Istio’s labels', async () => {
    const [before, calledBefore] = [await client().metrics(), await middle().metrics()]
    expect((await client().http('http://middle/', { count: 7 })).map(({ status }) => status)).toEqual(
      Array(7).fill(200),
    )
    const grown = (old: readonly Sample[], now: readonly Sample[]) =>
      now
        .filter(
          ({ name, labels }) =>
            name === 'istio_requests_total' && labels['destination_service_name'] === 'middle',
        )
        .map(sample => ({
          labels: sample.labels,
          by: sample.value - (old.find(one => sameSeries(one, sample))?.value ?? 0),
        }))
        .filter(({ by }) => by > 0)
    await eventually(async () => {
      const sent = grown(before, await client().metrics()).filter(
        ({ labels }) => labels['reporter'] === 'source',
      )
      expect(sent).toHaveLength(1)
      expect(sent[0]?.by).toBe(7)
      expect(sent[0]?.labels).toMatchObject({ ...CLIENT_TO_MIDDLE, connection_security_policy: 'unknown' })
      const received = grown(calledBefore, await middle().metrics()).filter(
        ({ labels }) => labels['reporter'] === 'destination',
      )
      expect(received).toHaveLength(1)
      expect(received[0]?.by).toBe(7)
      expect(received[0]?.labels).toMatchObject({
        ...CLIENT_TO_MIDDLE,
        connection_security_policy: 'mutual_tls',
      })
    })
  })

  test('duration and sizes come as histograms', async () => {
    // A code that nothing else answers with: histograms come late, and those of other tests must not count.
    const labels = { destination_service_name: 'middle', response_code: '201', reporter: 'source' }
    const body = 'x'.repeat(5_000)
    const grown = await Promise.all(
      [
        'istio_request_duration_milliseconds_count',
        'istio_request_bytes_sum',
        'istio_response_bytes_sum',
      ].map(name => growthOf(client(), name, labels)),
    )
    await client().http('http://middle/', {
      method: 'POST',
      body,
      count: 4,
      headers: { [Ask.status]: '201' },
    })
    await eventually(async () => {
      const [count = 0, sent = 0, received = 0] = await Promise.all(grown.map(growth => growth()))
      expect(count).toBe(4)
      // Histograms keep buckets, not values: sums are near.
      expect(sent).toBeGreaterThan(15_000)
      expect(received).toBeGreaterThan(15_000)
    })
    const buckets = (await client().metrics()).filter(
      ({ name }) => name === 'istio_request_duration_milliseconds_bucket',
    )
    expect(new Set(buckets.map(one => one.labels['le']))).toContain('+Inf')
    expect(new Set(buckets.map(one => one.labels['le']))).toContain('100')
  })

  test('failures are told apart by code and flags', async () => {
    const failed = await growthOf(client(), 'istio_requests_total', {
      reporter: 'source',
      response_code: '404',
      destination_service_name: 'middle',
    })
    await client().http('http://middle/', { headers: { [Ask.status]: '404' }, count: 3 })
    await eventually(async () => expect(await failed()).toBe(3))
  })

  test('TCP connections and their bytes are counted on both sides', async () => {
    const labels = {
      destination_service: 'echo.shop.svc.cluster.local',
      source_workload: 'client-v1',
      request_protocol: 'tcp',
    }
    const names = [
      'istio_tcp_connections_opened_total',
      'istio_tcp_connections_closed_total',
      'istio_tcp_sent_bytes_total',
      'istio_tcp_received_bytes_total',
    ]
    const echoes = mesh().pods('echo')
    const source = await Promise.all(
      names.map(name => growthOf(client(), name, { ...labels, reporter: 'source' })),
    )
    const received = { ...labels, reporter: 'destination', connection_security_policy: 'mutual_tls' }
    const destination = await Promise.all(
      names.map(name => Promise.all(echoes.map(pod => growthOf(pod, name, received)))),
    )
    const line = 'z'.repeat(999)
    const outcomes = await client().tcp('echo', 9000, { count: 6, line })
    const returned = outcomes.reduce((sum, { body }) => sum + body.length + 1, 0)
    await eventually(async () => {
      const [opened, closed, sent, got] = await Promise.all(source.map(growth => growth()))
      expect([opened, closed]).toEqual([6, 6])
      expect([sent, got]).toEqual([returned, 6_000])
      const sums = await Promise.all(
        destination.map(async growths =>
          (await Promise.all(growths.map(growth => growth()))).reduce((a, b) => a + b, 0),
        ),
      )
      expect(sums).toEqual([6, 6, returned, 6_000])
    })
  })

  test('Envoy’s own endpoint and readiness are there for whoever scrapes and probes', async () => {
    const outsider = mesh().pod('outsider')
    const [direct] = await outsider.http(`http://${client().ip}:15090/stats/prometheus`)
    expect(direct?.body).toMatch(/^envoy_istio_requests_total\{/m)
    const [merged] = await outsider.http(`http://${client().ip}:15020/stats/prometheus`)
    expect(merged?.body).toMatch(/^istio_requests_total\{/m)
    const [ready] = await outsider.http(`http://${client().ip}:15021/healthz/ready`)
    expect(ready?.status).toBe(200)
    const [admin] = await outsider.http(`http://${client().ip}:15000/config_dump`)
    expect(admin?.error).toMatch(/ECONNREFUSED|ECONNRESET/)
  })

  test('each request is a line of JSON in the logs of both sidecars', async () => {
    const path = `/${freshId()}?q=1`
    await client().http(`http://middle${path}`, {
      method: 'POST',
      body: 'twelve bytes',
      headers: { 'user-agent': 'e2e/1' },
    })
    const common = {
      method: 'POST',
      path,
      response_code: 200,
      response_flags: '-',
      authority: 'middle',
      user_agent: 'e2e/1',
      bytes_received: 12,
    }
    await eventually(async () => {
      const [sent, ...more] = await accessLog(client(), path)
      expect(more).toEqual([])
      expect(sent).toMatchObject({
        ...common,
        upstream_cluster: 'outbound|80||middle.shop.svc.cluster.local',
        upstream_host: `${middle().ip}:${PeerPort.http}`,
        upstream_peer: 'spiffe://cluster.local/ns/shop/sa/middle',
      })
      const [received, ...others] = await accessLog(middle(), path)
      expect(others).toEqual([])
      expect(received).toMatchObject({
        ...common,
        upstream_cluster: `inbound|${PeerPort.http}||`,
        downstream_peer: 'spiffe://cluster.local/ns/shop/sa/client',
        requested_server_name: 'outbound_.80_._.middle.shop.svc.cluster.local',
      })
      expect(received?.['trace_id']).toBe(sent?.['trace_id'])
      expect(received?.['request_id']).toBe(sent?.['request_id'])
    })
  })

  test('each TCP connection is one line, written when it ends', async () => {
    const cluster = 'outbound|9000||echo.shop.svc.cluster.local'
    const before = (await accessLog(client(), cluster)).length
    const line = freshId()
    await client().tcp('echo', 9000, { count: 5, line })
    const written = async () => (await accessLog(client(), cluster)).slice(before)
    await eventually(async () => expect((await written()).length).toBeGreaterThanOrEqual(5))
    const entries = await written()
    expect(entries).toHaveLength(5)
    for (const entry of entries)
      expect(entry).toMatchObject({
        bytes_received: line.length + 1,
        upstream_peer: 'spiffe://cluster.local/ns/shop/sa/echo',
        response_flags: '-',
      })
  })

  test('a call across three services is one trace, each span under the one that caused it', async () => {
    const path = `/${freshId()}`
    const chain = 'http://middle/ http://echo/'
    const answer = await client().get(`http://front${path}`, { [Ask.forward]: chain })
    expect(answer.echo?.next?.echo?.next?.echo?.app).toBe('echo')
    const traceId = answer.echo?.headers['traceparent']?.split('-')[1] ?? ''
    const spans = await eventually(async () => {
      const found = await mesh().hub.spans(traceId)
      expect(found.map(kindAndService)).toHaveLength(6)
      return found
    })
    const ofPath = spans.find(({ attributes }) => JSON.stringify(attributes).includes(path))
    expect(ofPath?.service).toBe('client.shop')
    expect(lineage(spans).map(kindAndService)).toEqual([
      'client client.shop',
      'server front.shop',
      'client front.shop',
      'server middle.shop',
      'client middle.shop',
      'server echo.shop',
    ])
    const listed = (await mesh().hub.traces()).find(({ id }) => id === traceId)
    expect(listed?.spans).toBe(6)
    expect([...(listed?.services ?? [])].sort()).toEqual([
      'client.shop',
      'echo.shop',
      'front.shop',
      'middle.shop',
    ])
  })

  test('a trace that the caller has begun is continued', async () => {
    const traceId = freshId().replaceAll('-', '')
    await client().get('http://middle/', { traceparent: `00-${traceId}-00f067aa0ba902b7-01` })
    await eventually(async () => {
      const spans = await mesh().hub.spans(traceId)
      expect(lineage(spans).map(kindAndService)).toEqual(['client client.shop', 'server middle.shop'])
    })
  })

  test('a failure is marked in the span', async () => {
    const answer = await client().get('http://middle/', { [Ask.status]: '500' })
    const traceId = answer.echo?.headers['traceparent']?.split('-')[1] ?? ''
    await eventually(async () => {
      const spans = await mesh().hub.spans(traceId)
      expect(spans).toHaveLength(2)
      expect(spans.every(({ error }) => error)).toBe(true)
      expect(spans.map(({ attributes }) => attributes['http.status_code'])).toEqual(['500', '500'])
    })
  })

  test('the hub’s graph shows who calls whom, and that it was measured to be mutual TLS', async () => {
    await eventually(async () => {
      await client().http('http://middle/', { count: 5 })
      const { edges } = await mesh().hub.get<{
        edges: readonly { source: string; target: string; security: string; traffic: { rate: number } }[]
      }>('/graph?window=60')
      const edge = edges.find(({ source, target }) => source.includes('client') && target.includes('middle'))
      expect(edge?.security).toBe('mutual_tls')
      expect(edge?.traffic.rate).toBeGreaterThan(0)
    })
  })
})

function sameSeries(a: Sample, b: Sample): boolean {
  return a.name === b.name && JSON.stringify(a.labels) === JSON.stringify(b.labels)
}

function kindAndService({ kind, service }: HubSpan): string {
  return `${kind} ${service}`
}

/** Spans from the root down, for a trace without branches. Fails when it has some, or a span has no place in it. */
function lineage(spans: readonly HubSpan[]): readonly HubSpan[] {
  const ids = new Set(spans.map(({ id }) => id))
  const roots = spans.filter(({ parentId }) => parentId === undefined || !ids.has(parentId))
  expect(roots).toHaveLength(1)
  const line: HubSpan[] = [...roots]
  for (
    let last = line.at(-1);
    last !== undefined;
    last = line.length < spans.length ? line.at(-1) : undefined
  ) {
    const children = spans.filter(({ parentId }) => parentId === last?.id)
    if (line.length < spans.length) expect(children).toHaveLength(1)
    line.push(...children)
    if (children.length === 0) break
  }
  return line
}
