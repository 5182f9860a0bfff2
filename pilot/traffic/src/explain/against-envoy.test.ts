import { createServer, request as httpRequest, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { JsonObject, JsonValue } from '@bufbuild/protobuf'
import type { MeshSnapshot } from '@seine/model'
import {
  meshOf,
  objectYaml,
  podYaml,
  renderResources,
  serviceYaml,
  sidecar,
  startEnvoy,
  staticBootstrap,
  toJson,
} from '@seine/testing/unit'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type Explanation,
  explainInbound,
  explainOutbound,
  type HttpRequest,
  readConfiguration,
} from './index.ts'

/** Meshes, and requests to each: as many verdicts are compared with what the real Envoy does. */
const MESHES = 15
const REQUESTS = 40
const SEED = 20261124

const pick = <T>(values: readonly T[]) => fc.constantFrom(...values)

/** A record of fields of which each may be left out. */
const some = (fields: Record<string, fc.Arbitrary<unknown>>) => fc.record(fields, { requiredKeys: [] })

const stringMatch = (values: readonly string[]) =>
  fc.oneof(
    pick(values).map(exact => ({ exact })),
    pick(values).map(value => ({ prefix: value.slice(0, 3) })),
    pick(values).map(value => ({ regex: `${value.slice(0, 2)}.*` })),
    pick(['[a-z/]+', '.*', '(?i)/A.*']).map(regex => ({ regex })),
  )

const PATHS = ['/', '/a', '/a/b', '/A', '/api/v1', '/%61', '/a/../b', '/a/./b', '/ab', '/a//b', '/b%2Fc']
const NAMES = ['jason', 'jane']
const HOSTS = [
  'web',
  'api',
  'web.default',
  'api.default.svc.cluster.local',
  'other.example',
  'x.wild.example',
]

const destination = fc.record(
  { host: pick(['web', 'api']), subset: pick(['v1', 'v2']) },
  { requiredKeys: ['host'] },
)
const match = some({
  uri: stringMatch(PATHS),
  ignoreUriCase: fc.boolean(),
  method: stringMatch(['GET', 'POST']),
  authority: stringMatch(HOSTS),
  headers: fc.dictionary(pick(['end-user', 'x-other']), stringMatch(NAMES), { maxKeys: 2 }),
  withoutHeaders: fc.dictionary(pick(['end-user', 'x-none']), stringMatch(NAMES), { maxKeys: 1 }),
  queryParams: fc.dictionary(pick(['q']), stringMatch(['one', 'two']), { maxKeys: 1 }),
})
const matched = { match: fc.array(match, { maxLength: 2 }) }
const http = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(
        fc.array(fc.record({ destination, weight: pick([1, 30]) }), { minLength: 1, maxLength: 3 }),
        some({
          ...matched,
          rewrite: fc.oneof(
            pick(['/', '/new']).map(uri => ({ uri })),
            pick(['elsewhere']).map(authority => ({ authority })),
          ),
          fault: pick([400, 503]).map(httpStatus => ({ abort: { httpStatus, percentage: { value: 100 } } })),
        }),
      )
      .map(([route, rest]) => ({ ...rest, route })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.record(
          { uri: pick(['/moved']), authority: pick(['new.example']), scheme: pick(['https']) },
          { requiredKeys: ['uri'] },
        ),
        some(matched),
        pick([301, 308]),
      )
      .map(([redirect, rest, redirectCode]) => ({ ...rest, redirect: { ...redirect, redirectCode } })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(pick(['/', '/a', '/a/']), pick(['/', '/newer']), some({ authority: pick(['new.example']) }))
      .map(([prefix, prefixRewrite, rest]) => ({
        match: [{ uri: { prefix } }],
        redirect: { ...rest, prefixRewrite },
      })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(pick([200, 404, 418]), some(matched))
      .map(([status, rest]) => ({ ...rest, directResponse: { status } })),
  },
)
const virtualService = fc.record({
  hosts: pick([['web'], ['api'], ['*.wild.example'], ['other.example', 'web']]),
  http: fc.array(http, { minLength: 1, maxLength: 4 }),
})

const policy = fc.record({
  action: pick(['ALLOW', 'DENY']),
  rules: fc.array(
    some({
      from: fc.array(
        fc.record({
          source: some({
            namespaces: pick([['default'], ['b*']]),
            notIpBlocks: pick([['10.0.0.0/8']]),
          }).filter(source => Object.keys(source).length > 0),
        }),
        { minLength: 1, maxLength: 2 },
      ),
      to: fc.array(
        fc.record({
          operation: some({
            methods: pick([['GET'], ['POST', 'PUT'], ['G*']]),
            notMethods: pick([['POST']]),
            paths: pick([['/a*'], ['/a', '/b'], ['*b'], ['/{*}/b'], ['/{**}']]),
            notPaths: pick([['/api/v1'], ['/a*']]),
            hosts: pick([['web'], ['*.example'], ['WEB*']]),
          }),
        }),
        { minLength: 1, maxLength: 2 },
      ),
      when: pick([
        [{ key: 'request.headers[end-user]', values: ['ja*'] }],
        [{ key: 'request.headers[end-user]', notValues: ['jason'] }],
      ]),
    }),
    { maxLength: 2 },
  ),
})

const httpQuestion: fc.Arbitrary<HttpRequest> = fc.record({
  kind: fc.constant('http' as const),
  method: pick(['GET', 'POST']),
  scheme: fc.constant('http' as const),
  authority: pick([...HOSTS, ...HOSTS.map(host => `${host}:80`), 'WEB', 'unknown.example']),
  path: fc.tuple(pick(PATHS), pick(['', '?q=one', '?q=two&q=one', '?other'])).map(parts => parts.join('')),
  headers: fc.dictionary(pick(['end-user', 'x-other', 'origin']), pick(['jason', 'jane', 'mary', '']), {
    maxKeys: 2,
  }),
})

const mesh = fc.record({
  services: fc.array(virtualService, { minLength: 1, maxLength: 3 }),
  policies: fc.array(policy, { maxLength: 2 }),
  registryOnly: fc.boolean(),
})

function snapshotOf({
  services,
  policies,
  registryOnly,
}: typeof mesh extends fc.Arbitrary<infer M> ? M : never): MeshSnapshot {
  return meshOf(
    serviceYaml('web', { ports: [{ name: 'http', port: 80, targetPort: 8080 }] }),
    serviceYaml('api', { clusterIP: '10.96.0.11' }),
    // Nothing of version v2 runs for api: what is routed there finds no endpoint.
    podYaml('web-1', '10.1.0.1', { labels: { app: 'web', version: 'v1' } }),
    podYaml('web-2', '10.1.0.2', { labels: { app: 'web', version: 'v2' } }),
    podYaml('api-1', '10.1.0.3', { labels: { app: 'api', version: 'v1' } }),
    ...['web', 'api'].map(host =>
      objectYaml('networking.istio.io/v1', 'DestinationRule', host, {
        host,
        subsets: ['v1', 'v2'].map(version => ({ name: version, labels: { version } })),
      }),
    ),
    ...services.map((spec, index) =>
      objectYaml('networking.istio.io/v1', 'VirtualService', `vs-${index}`, spec),
    ),
    ...policies.map((spec, index) =>
      objectYaml('security.istio.io/v1', 'AuthorizationPolicy', `policy-${index}`, spec),
    ),
    meshConfigYaml(registryOnly),
  )
}

function meshConfigYaml(registryOnly: boolean): string {
  const mode = registryOnly ? 'REGISTRY_ONLY' : 'ALLOW_ANY'
  return `apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    outboundTrafficPolicy: {mode: ${mode}}
`
}

/** What the real Envoy did with a request: its status, and the cluster that it went to. */
interface Done {
  readonly status: number
  readonly location: string | undefined
  readonly cluster: string | undefined
}

describe('explain says what Envoy does', () => {
  let upstream: Server
  let upstreamPort = 0

  beforeAll(async () => {
    // Each cluster leads to a loopback address of its own, by which it is told.
    upstream = createServer((incoming, response) => {
      incoming.resume()
      response.setHeader('x-upstream', incoming.socket.localAddress ?? '')
      response.end()
    })
    await new Promise<void>(resolve => upstream.listen(0, '0.0.0.0', resolve))
    upstreamPort = (upstream.address() as AddressInfo).port
  })
  afterAll(() => new Promise(resolve => upstream.close(resolve)))

  it(`outbound: ${MESHES} random meshes, ${REQUESTS} requests each`, async () => {
    await compare('outbound')
  }, 180_000)

  it(`inbound: ${MESHES} random meshes, ${REQUESTS} requests each`, async () => {
    await compare('inbound')
  }, 180_000)

  async function compare(direction: 'outbound' | 'inbound') {
    const samples = fc.sample(
      fc.tuple(mesh, fc.array(httpQuestion, { minLength: REQUESTS, maxLength: REQUESTS })),
      { numRuns: MESHES, seed: SEED },
    )
    const outcomes = new Map<string, number>()
    for (const [model, requests] of samples) {
      const snapshot = snapshotOf(model)
      const proxy = sidecar('web-1', { address: '10.1.0.1', labels: { app: 'web', version: 'v1' } })
      const rendered = renderResources(snapshot, proxy)
      const configuration = readConfiguration(rendered)
      const listenerName = direction === 'outbound' ? '0.0.0.0_80' : 'virtualInbound'
      const chain = direction === 'outbound' ? 'http' : 'inbound|8080||plaintext-http'
      const { bootstrap, clusterAt } = loopback(toJson(rendered), listenerName, chain, upstreamPort)
      const envoy = await startEnvoy(bootstrap)
      try {
        const port = envoy.portOf(listenerName)
        for (const traffic of requests) {
          const explanation =
            direction === 'outbound'
              ? explainOutbound(configuration, { traffic, address: '10.96.0.10', port: 80 })
              : explainInbound(configuration, {
                  traffic,
                  address: '10.1.0.1',
                  port: 8080,
                  peer: { identity: undefined, address: '127.0.0.1' },
                })
          const done = await send(port, traffic, clusterAt)
          const difference = differenceOf(explanation, done)
          expect(difference, JSON.stringify({ traffic, done, explanation, model }, null, 1)).toBeUndefined()
          const { outcome } = explanation.verdict
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        }
      } finally {
        await envoy.stop()
      }
    }
    // The comparison is worth something only if all outcomes occur.
    const expected =
      direction === 'outbound' ? ['answered', 'forwarded', 'redirected'] : ['answered', 'forwarded']
    expect([...outcomes.keys()].sort()).toEqual(expected)
  }
})

function differenceOf({ verdict }: Explanation, done: Done): string | undefined {
  switch (verdict.outcome) {
    case 'forwarded': {
      const served = verdict.targets.find(({ cluster }) => cluster === done.cluster)
      if (served) return undefined
      const anyEmpty = verdict.targets.some(({ endpoints }) => endpoints.length === 0)
      return done.cluster === undefined && done.status === 503 && anyEmpty
        ? undefined
        : `was to go to ${verdict.targets.map(({ cluster }) => cluster).join(' or ')}`
    }
    case 'redirected':
      return done.status === verdict.status && done.location === verdict.location
        ? undefined
        : `was to be redirected with ${verdict.status} to ${verdict.location}`
    case 'answered':
      return done.cluster === undefined && done.status === verdict.status
        ? undefined
        : `was to be answered with ${verdict.status}`
    case 'closed':
      return 'was to be closed'
  }
}

/**
 * The proxy's own configuration with its addresses exchanged: one filter chain of a listener on a free port of
 * loopback, and every cluster that has endpoints on a loopback address of its own, in plaintext.
 */
function loopback(
  config: ReturnType<typeof toJson>,
  listenerName: string,
  chainName: string,
  upstreamPort: number,
): { bootstrap: JsonObject; clusterAt: ReadonlyMap<string, string> } {
  const whole = staticBootstrap(config)['staticResources'] as JsonObject
  const listener = (whole['listeners'] as JsonObject[]).find(one => one['name'] === listenerName)
  const chain = (listener?.['filterChains'] as JsonObject[]).find(one => one['name'] === chainName)
  if (!chain) throw new Error(`there is no chain ${chainName} in ${listenerName}`)
  const clusterAt = new Map<string, string>()
  const clusters = (whole['clusters'] as JsonObject[]).map((cluster, index) => {
    const name = String(cluster['name'])
    const address = `127.1.${index >> 8}.${(index & 255) + 1}`
    clusterAt.set(address, name)
    const assigned = cluster['loadAssignment'] as { endpoints?: { lbEndpoints?: unknown[] }[] } | undefined
    const served =
      cluster['type'] === 'ORIGINAL_DST' || assigned?.endpoints?.some(one => one.lbEndpoints?.length)
    const endpoint = { endpoint: { address: { socketAddress: { address, portValue: upstreamPort } } } }
    return {
      name,
      type: 'STATIC',
      connectTimeout: '5s',
      loadAssignment: { clusterName: name, endpoints: served ? [{ lbEndpoints: [endpoint] }] : [] },
    }
  })
  const bound: JsonObject = {
    name: listenerName,
    address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
    filterChains: [{ filters: (chain['filters'] as JsonValue[]).map(untold) }],
  }
  return {
    bootstrap: {
      node: { id: 'explain', cluster: 'explain' },
      admin: { address: { socketAddress: { address: '127.0.0.1', portValue: 0 } } },
      staticResources: { listeners: [bound], clusters },
    },
    clusterAt,
  }
}

/** Without what only reports: access logs and traces have no one to go to. */
function untold(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(untold)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([key]) => key !== 'accessLog' && key !== 'tracing')
  return Object.fromEntries(kept.map(([key, inner]) => [key, untold(inner)]))
}

function send(
  port: number,
  { method, authority, path, headers }: HttpRequest,
  clusterAt: ReadonlyMap<string, string>,
): Promise<Done> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      { host: '127.0.0.1', port, method, path, headers: { ...headers, host: authority }, agent: false },
      response => {
        response.resume()
        const upstream = response.headers['x-upstream']
        resolve({
          status: response.statusCode ?? 0,
          location: response.headers.location,
          cluster: typeof upstream === 'string' ? clusterAt.get(upstream) : undefined,
        })
      },
    )
    sent.on('error', reject)
    sent.end()
  })
}
