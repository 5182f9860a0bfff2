import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NO_SERVER, type Ran, runCaptured } from './testing-terminal.ts'

const ID = 'sidecar~10.77.0.2~reviews-v1-abc.default~default.svc.cluster.local'
const cluster = 'outbound|9080|v1|ratings.default.svc.cluster.local'
const cause = [
  {
    kind: 'DestinationRule',
    namespace: 'default',
    name: 'ratings',
    path: 'spec.subsets[0]',
    file: '/etc/mesh/ratings.yaml',
    line: 12,
  },
]
const socket = (address: string, portValue: number) => ({ socketAddress: { address, portValue } })

const proxies = [
  {
    id: ID,
    workload: 'reviews-v1',
    namespace: 'default',
    ip: '10.77.0.2',
    connectedAt: 1,
    types: {
      CDS: { resources: 1, state: 'SYNCED', ackedAt: 2 },
      RDS: {
        resources: 2,
        state: 'NACKED',
        nack: { at: 1, message: 'route: unknown cluster', resources: ['9080'] },
      },
    },
  },
]

const config = {
  listeners: [
    {
      name: 'virtualOutbound',
      version: '1',
      provenance: [],
      config: {
        address: socket('0.0.0.0', 15001),
        filterChains: [
          {
            filterChainMatch: { transportProtocol: 'raw_buffer' },
            filters: [{ name: 'hcm', typedConfig: { rds: { routeConfigName: '9080' } } }],
          },
        ],
        defaultFilterChain: { filters: [{ name: 'tcp', typedConfig: { cluster: 'PassthroughCluster' } }] },
      },
    },
  ],
  routes: [
    {
      name: '9080',
      version: '1',
      provenance: [],
      config: {
        virtualHosts: [
          {
            name: 'ratings:9080',
            domains: ['ratings.default.svc.cluster.local', 'ratings'],
            routes: [{ match: { prefix: '/' }, route: { cluster } }],
          },
          {
            name: 'reviews:9080',
            domains: ['reviews'],
            routes: [{ match: { path: '/x' }, directResponse: { status: 503 } }],
          },
        ],
      },
    },
    { name: '8080', version: '1', provenance: [], config: { name: '8080', vhds: {} } },
    {
      name: '8080/details.default.svc.cluster.local',
      version: '1',
      provenance: [],
      config: {
        name: '8080/details.default.svc.cluster.local',
        domains: ['details.default.svc.cluster.local'],
        routes: [{ match: { prefix: '/' }, route: { cluster } }],
      },
    },
  ],
  clusters: [
    { name: cluster, version: '1', provenance: cause, config: { name: cluster, type: 'EDS' } },
    {
      name: 'PassthroughCluster',
      version: '1',
      provenance: [],
      config: { name: 'PassthroughCluster', type: 'ORIGINAL_DST' },
    },
  ],
  endpoints: [
    {
      name: cluster,
      version: '1',
      provenance: [],
      config: { endpoints: [{ lbEndpoints: [{ endpoint: { address: socket('10.77.0.9', 9080) } }] }] },
    },
  ],
  extensions: [
    {
      name: 'own-lua',
      version: '1',
      provenance: cause,
      config: {
        name: 'own-lua',
        typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua' },
      },
    },
  ],
  secrets: [
    {
      name: 'default',
      version: '1',
      provenance: [],
      config: {
        identity: 'spiffe://cluster.local/ns/default/sa/reviews',
        serial: '0a',
        notAfter: '2030-01-01T00:00:00.000Z',
        privateKey: '[held by the agent]',
      },
    },
  ],
}

const answers: Record<string, unknown> = {
  '/api/v1/version': { version: '0.1.0', configFolders: ['/etc/seine'] },
  '/api/v1/proxies': proxies,
  [`/api/v1/proxies/${encodeURIComponent(ID)}/config`]: config,
}

let hub: Server
let server: string

beforeAll(async () => {
  hub = createServer((request, response) => {
    const answer = answers[request.url ?? '']
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer ?? { error: 'not found' }))
  })
  await new Promise<void>(resolve => hub.listen(0, '127.0.0.1', resolve))
  server = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`
})
afterAll(() => {
  hub.closeAllConnections()
  hub.close()
})

const seinectl = (...args: string[]): Promise<Ran> => runCaptured([...args, '--server', server])

describe('proxy-status', () => {
  it('prints a table with the reasons of rejections', async () => {
    expect(await seinectl('proxy-status')).toEqual({
      code: 0,
      err: '',
      out: 'NAME                     IP          CDS          RDS\nreviews-v1-abc.default   10.77.0.2   SYNCED (1)   NACKED (2)\n\nreviews-v1-abc.default rejected RDS: route: unknown cluster\n',
    })
    expect(JSON.parse((await seinectl('ps', '-o', 'json')).out)).toEqual(proxies)
    expect(JSON.parse((await seinectl('ps', 'reviews-v1', '-o', 'json')).out)).toEqual(proxies)
  })

  it('colours on a terminal only', async () => {
    const { out } = await runCaptured(['ps', '--server', server], { colour: true })
    expect(out).toContain('\u001b[31mNACKED (2)\u001b[39m')
  })

  it('says who does not answer', async () => {
    const { code, err } = await runCaptured(['proxy-status', '--server', NO_SERVER])
    expect(code).toBe(1)
    expect(err).toMatch(
      /^error: seined does not answer at http:\/\/127\.0\.0\.1:1 \(.+\): start it, or give its address/,
    )
  })
})

describe('proxy-config', () => {
  it.each([
    [
      'listeners',
      [],
      'NAME              ADDRESS   PORT    MATCH               DESTINATION                   SOURCE\nvirtualOutbound   0.0.0.0   15001   Trans: raw_buffer   Route: 9080\nvirtualOutbound   0.0.0.0   15001   DEFAULT             Cluster: PassthroughCluster\n',
    ],
    [
      'routes',
      ['--fqdn', 'ratings'],
      `NAME   VHOST NAME     DOMAINS                                      MATCH   TARGET                                               SOURCE\n9080   ratings:9080   ratings.default.svc.cluster.local, ratings   /*      ${cluster}\n`,
    ],
    [
      'routes',
      ['--port', '8080'],
      `NAME   VHOST NAME                               DOMAINS                             MATCH   TARGET                                               SOURCE\n8080   8080/details.default.svc.cluster.local   details.default.svc.cluster.local   /*      ${cluster}\n`,
    ],
    [
      'clusters',
      ['--port', '9080'],
      'SERVICE FQDN                        PORT   SUBSET   DIRECTION   TYPE   SOURCE\nratings.default.svc.cluster.local   9080   v1       outbound    EDS    DestinationRule default/ratings (ratings.yaml:12)\n',
    ],
    [
      'endpoints',
      [],
      `ENDPOINT         STATUS    WEIGHT   CLUSTER                                              SOURCE\n10.77.0.9:9080   HEALTHY   1        ${cluster}\n`,
    ],
    [
      'ecds',
      ['--name', 'own'],
      'NAME      TYPE                                       SOURCE\nown-lua   envoy.extensions.filters.http.lua.v3.Lua   DestinationRule default/ratings (ratings.yaml:12)\n',
    ],
    [
      'secrets',
      [],
      'NAME      TYPE         IDENTITY                                       SERIAL   NOT AFTER\ndefault   Cert Chain   spiffe://cluster.local/ns/default/sa/reviews   0a       2030-01-01T00:00:00.000Z\n',
    ],
  ])('prints %s', async (what, flags, expected) => {
    expect(await seinectl('proxy-config', what, 'reviews-v1.default', ...flags)).toEqual({
      code: 0,
      err: '',
      out: expected,
    })
  })

  it('prints what Envoy gets as JSON and YAML', async () => {
    expect(JSON.parse((await seinectl('pc', 'c', 'reviews-v1', '--name', 'Pass', '-o', 'json')).out)).toEqual(
      [{ name: 'PassthroughCluster', type: 'ORIGINAL_DST' }],
    )
    expect((await seinectl('pc', 'c', 'reviews-v1-abc', '--name', 'Pass', '-o', 'yaml')).out).toBe(
      '- name: PassthroughCluster\n  type: ORIGINAL_DST\n',
    )
  })

  it('suggests what may have been meant', async () => {
    expect((await seinectl('proxy-config', 'rutes', 'x')).err).toContain('did you mean "routes"?')
    expect((await seinectl('proxy-config', 'routes', 'review-v1')).err).toContain(
      'did you mean "reviews-v1"?',
    )
    expect((await seinectl('proxy-config', 'routes', 'reviews-v1', '--port', 'x')).code).toBe(2)
  })
})

describe('version and dashboard', () => {
  it('print what the server says', async () => {
    expect((await seinectl('version')).out).toBe(
      `client version: 0.1.0\nserver version: 0.1.0 (${server})\nconfiguration folders: /etc/seine\n`,
    )
    expect((await seinectl('dashboard')).out).toBe(`${server}/\n`)
    expect((await runCaptured(['dashboard', '--server', NO_SERVER])).code).toBe(1)
    expect((await runCaptured(['version', '--client', '-o', 'json'])).out).toBe(
      '{\n  "clientVersion": "0.1.0"\n}\n',
    )
  })
})
