import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { JsonObject } from '@bufbuild/protobuf'
import { messageFromJson, TypeUrl } from '@seine/envoy'
import { casesIn, envoyAccepts, renderCase } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { outcomeMistake } from './outcome.ts'

const TESTDATA = fileURLToPath(new URL('../../testdata', import.meta.url))

const NOTHING = { listeners: [], routes: [], clusters: [], endpoints: [], extensions: [], bootstrap: [] }

function mistakeIn(type: string, json: JsonObject): string | undefined {
  const read = messageFromJson(type.slice(type.lastIndexOf('/') + 1), json)
  return read.ok ? outcomeMistake(type, read.value) : `unreadable: ${read.error.reason}`
}

describe('what comes out of patches', () => {
  it('is judged by no rule that something generated breaks, all of which Envoy takes', () => {
    for (const name of casesIn(TESTDATA))
      for (const { config, generator } of renderCase(join(TESTDATA, name))) {
        if (generator !== 'envoy') continue
        const parts = [
          ...config.listeners.map(json => mistakeIn(TypeUrl.listener, json)),
          ...config.routes.map(json => mistakeIn(TypeUrl.route, json)),
          ...config.clusters.map(json => mistakeIn(TypeUrl.cluster, json)),
        ]
        expect([name, parts.filter(mistake => mistake !== undefined)]).toEqual([name, []])
      }
  }, 60_000)

  const NETWORK = 'type.googleapis.com/envoy.extensions.filters.network'
  const HTTP = 'type.googleapis.com/envoy.extensions.filters.http'
  const filter = (type: string, more: JsonObject = {}): JsonObject => ({
    name: type,
    typedConfig: { '@type': type, ...more },
  })
  const router = filter(`${HTTP}.router.v3.Router`)
  const cors = filter(`${HTTP}.cors.v3.Cors`)
  const http = (httpFilters: JsonObject[], routeConfig: JsonObject = {}) =>
    filter(`${NETWORK}.http_connection_manager.v3.HttpConnectionManager`, {
      statPrefix: 'a',
      httpFilters,
      routeConfig,
    })
  const echo = filter(`${NETWORK}.echo.v3.Echo`)
  const limit = filter(`${NETWORK}.connection_limit.v3.ConnectionLimit`, {
    statPrefix: 'a',
    maxConnections: '1',
  })
  const chain = (filters: JsonObject[], filterChainMatch: JsonObject = {}) => ({ filters, filterChainMatch })
  const names = (...serverNames: string[]) => ({ serverNames })
  const range = (addressPrefix: string, prefixLen: number) => ({
    prefixRanges: [{ addressPrefix, prefixLen }],
  })
  const hosts = (...domains: string[][]) =>
    http([router], {
      virtualHosts: domains.map((own, index) => ({
        name: String(index),
        domains: own,
        routes: [{ match: { prefix: '/' }, directResponse: { status: 200 } }],
      })),
    })
  const adding = (key: string, value: string) =>
    http([router], {
      virtualHosts: [
        {
          name: 'a',
          domains: ['*'],
          routes: [
            {
              match: { prefix: '/' },
              directResponse: { status: 200 },
              requestHeadersToAdd: [{ header: { key, value } }],
            },
          ],
        },
      ],
    })
  const struct = (type: string, value: JsonObject) => ({
    name: 'struct',
    typedConfig: {
      '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
      typeUrl: `${HTTP}.${type}`,
      value,
    },
  })

  it.each<[string, JsonObject[]]>([
    ['a chain without filters', [chain([])]],
    ['no chain', []],
    ['a filter and one that ends', [chain([limit, echo])]],
    ['a filter by itself', [chain([limit])]],
    ['what ends before a filter', [chain([echo, limit])]],
    ['two that end', [chain([http([router]), echo])]],
    ['a filter of HTTP among network filters', [chain([cors, echo])]],
    ['a network filter among those of HTTP', [chain([http([limit, router])])]],
    ['a filter of nothing', [chain([http([{ name: 'a' }, router])])]],
    ['no router', [chain([http([cors])])]],
    ['no filters of HTTP', [chain([http([])])]],
    ['a filter after the router', [chain([http([router, cors])])]],
    ['a router that is disabled', [chain([http([{ ...router, disabled: true }])])]],
    ['a router as a structure', [chain([http([struct('router.v3.Router', {})])])]],
    ['a structure with a field that is not there', [chain([http([struct('router.v3.Router', { a: 1 })])])]],
    ['the same match twice', [chain([echo]), chain([echo])]],
    ['names apart', [chain([echo], names('a')), chain([echo], names('b'))]],
    ['a name in common', [chain([echo], names('a', 'b')), chain([echo], names('c', 'B'))]],
    ['a name twice', [chain([echo], names('a', 'a'))]],
    ['a wildcard within a name', [chain([echo], names('a*.b'))]],
    ['a range in a range', [chain([echo], range('10.0.0.0', 8)), chain([echo], range('10.0.0.0', 16))]],
    ['a range in two spellings', [chain([echo], range('10.0.0.0', 8)), chain([echo], range('10.1.0.0', 8))]],
    ['domains apart', [chain([hosts(['a'], ['b', '*.a'])])]],
    ['a domain in two hosts', [chain([hosts(['a'], ['A'])])]],
    ['all domains twice', [chain([hosts(['*'], ['*'])])]],
    ['a header', [chain([adding('x-a', '%REQ(x-b)%:%PROTOCOL% %%')])]],
    ['the host as a header', [chain([adding('Host', 'a')])]],
    ['half an operator', [chain([adding('x-a', '99% of')])]],
    ['an operator that is none', [chain([adding('x-a', '%DOWNSTREAM%')])]],
    ['an operator without its parameters', [chain([adding('x-a', '%REQ%')])]],
    [
      'TLS of clients',
      [
        {
          ...chain([echo]),
          transportSocket: {
            name: 'tls',
            typedConfig: {
              '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
            },
          },
        },
      ],
    ],
  ])('is judged as Envoy does: %s', async (_what, filterChains) => {
    const address = { socketAddress: { address: '127.0.0.1', portValue: 7777 } }
    const listener = { name: 'a', address, filterChains }
    const mistake = mistakeIn(TypeUrl.listener, listener)
    const told = await envoyAccepts({ ...NOTHING, listeners: [listener] })
    expect({ taken: mistake === undefined, mistake }).toEqual({ taken: told.ok, mistake })
  })
})
