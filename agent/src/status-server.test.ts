import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createMetrics, Gauge, silentLogger } from '@seine/kit'
import { parsePrometheus, sumOf } from '@seine/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { askApplication } from './app-probes.ts'
import { StatusServer } from './status-server.ts'

/** What the other processes of the pod answer to a scrape; by default not at all. */
let answers: { envoy?: string; filtered?: string; application?: string }
let others: Server
let status: StatusServer
let ports: { metrics: number; health: number }
let reason: string | undefined
/** What the application is asked for in place of a kubelet. */
let asked: string

beforeEach(async () => {
  answers = {}
  reason = undefined
  asked = '/metrics?all=1'
  others = createServer((request, response) => {
    const body = {
      '/stats/prometheus': answers.envoy,
      '/stats/prometheus?filter=%5Eistio%5C.%26': answers.filtered,
      '/metrics?all=1': answers.application,
    }[request.url ?? '']
    response.writeHead(body === undefined ? 503 : 200, { 'content-type': 'text/plain' }).end(body)
  })
  await new Promise<void>(resolve => others.listen(0, '127.0.0.1', resolve))
  const { port } = others.address() as AddressInfo
  const metrics = createMetrics()
  new Gauge({ name: 'seine_agent_something', help: 'Something', registers: [metrics] }).set(3)
  status = new StatusServer({
    ipv6: false,
    metricsPort: 0,
    healthPort: 0,
    adminPort: port,
    metrics,
    application: new URL(`http://127.0.0.1:${port}/metrics?all=1`),
    logger: silentLogger,
    probe: path =>
      askApplication(
        { appProbes: { '/app-health/web/readyz': { httpGet: { path: asked, port } } }, ip: '127.0.0.1' },
        path,
      ),
    notReady: async () => {
      if (reason === 'broken') throw new Error('it broke')
      return reason
    },
  })
  ports = await status.start()
})

afterEach(async () => {
  await status.close()
  await new Promise(resolve => others.close(resolve))
})

async function get(port: number, path: string, method = 'GET'): Promise<[number, string]> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { connection: 'close' } })
  return [answer.status, await answer.text()]
}

describe('a probe of the application', () => {
  it('is answered as the application answers, on the port of metrics only', async () => {
    const path = '/app-health/web/readyz'
    expect(await get(ports.metrics, path)).toEqual([500, 'the answer was 503'])
    answers.application = 'well'
    expect(await get(ports.metrics, path)).toEqual([200, 'ok'])
    expect((await get(ports.health, path))[0]).toBe(404)
    expect((await get(ports.metrics, '/app-health/web/livez'))[0]).toBe(404)
    expect((await get(ports.metrics, '/toString'))[0]).toBe(404)
  })
})

describe('readiness', () => {
  it('is served on both ports, with what it waits for', async () => {
    for (const port of [ports.metrics, ports.health]) {
      reason = undefined
      expect(await get(port, '/healthz/ready')).toEqual([200, 'ready'])
      reason = 'no certificate yet'
      expect(await get(port, '/healthz/ready?x=1')).toEqual([503, 'no certificate yet'])
    }
  })

  it('is an error when it can not be told', async () => {
    reason = 'broken'
    expect(await get(ports.health, '/healthz/ready')).toEqual([500, 'it broke'])
  })

  it('is all that the health port serves', async () => {
    for (const path of ['/stats/prometheus', '/metrics', '/', '//'])
      expect(await get(ports.health, path)).toEqual([404, 'not found'])
    expect(await get(ports.health, '/healthz/ready', 'POST')).toEqual([405, 'only GET'])
  })
})

describe('metrics', () => {
  it("are with a filter only those of Envoy's that it asks for, and the agent's", async () => {
    answers = { envoy: 'all 1\n', filtered: 'envoy_istio_requests_total{} 3\n', application: 'app 1\n' }
    const [code, text] = await get(ports.metrics, '/stats/prometheus?filter=%5Eistio%5C.%26')
    expect(code).toBe(200)
    expect(text).toMatch(/^istio_requests_total\{\} 3\n# HELP seine_agent_/)
    expect(text).not.toMatch(/^(app|all) 1$/m)
  })

  it("are Envoy's under Istio's names, the application's and the agent's in one", async () => {
    // Neither ends its last line.
    answers = {
      envoy:
        '# TYPE envoy_istio_requests_total counter\nenvoy_istio_requests_total{reporter="source"} 3\nenvoy_server_live{} 1',
      application: '# TYPE orders counter\norders 7',
    }
    for (const path of ['/stats/prometheus', '/metrics']) {
      const [code, text] = await get(ports.metrics, path)
      expect(code).toBe(200)
      const samples = parsePrometheus(text)
      expect(sumOf(samples, 'istio_requests_total', { reporter: 'source' })).toBe(3)
      expect(samples.map(({ name, value }) => [name, value])).toEqual([
        ['istio_requests_total', 3],
        ['envoy_server_live', 1],
        ['orders', 7],
        ['seine_agent_something', 3],
      ])
    }
  })

  it('are those that are to be had, and count what is not', async () => {
    answers = { application: 'orders 7\n' }
    await get(ports.metrics, '/metrics')
    const samples = parsePrometheus((await get(ports.metrics, '/metrics'))[1])
    expect(sumOf(samples, 'orders')).toBe(7)
    expect(sumOf(samples, 'seine_agent_something')).toBe(3)
    expect(sumOf(samples, 'seine_agent_scrape_failures_total', { of: 'envoy' })).toBe(2)
    expect(sumOf(samples, 'seine_agent_scrape_failures_total', { of: 'application' })).toBe(0)
  })
})

it('says what to do when its port is taken', async () => {
  const other = new StatusServer({
    ipv6: false,
    metricsPort: ports.metrics,
    healthPort: 0,
    adminPort: 1,
    metrics: createMetrics(),
    application: undefined,
    logger: silentLogger,
    notReady: async () => undefined,
  })
  await expect(other.start()).rejects.toThrow(
    `can't listen on port ${ports.metrics}: it is taken: does another sidecar run in this network namespace`,
  )
  await other.close()
})
