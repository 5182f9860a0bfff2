import type { JsonObject } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import { ruleMistake } from './field-rules.ts'
import { messageFromJson, messageType } from './json.ts'

const CLUSTER = 'envoy.config.cluster.v3.Cluster'
const ROUTE = 'envoy.config.route.v3.Route'
const FILTER = 'envoy.config.listener.v3.Filter'
const LIMIT = 'type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit'
const HTTP_FILTER = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter'
const CORS = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors' }
const STRUCT = 'type.googleapis.com/udpa.type.v1.TypedStruct'
const LIMITED = { '@type': LIMIT, stat_prefix: 'a', max_connections: 1 }

function mistakeIn(typeName: string, json: JsonObject, isPart = false) {
  const read = messageFromJson(typeName, json)
  if (!read.ok) throw new Error(read.error.reason)
  return ruleMistake(messageType(typeName), read.value, json, isPart)
}

describe('what Envoy’s own rules refuse', () => {
  it.each([
    [CLUSTER, {}, [], 'name must not be empty'],
    [CLUSTER, { name: 'a', connect_timeout: '0s' }, ['connect_timeout'], 'must be longer than 0s'],
    [CLUSTER, { name: 'a', connectTimeout: '-1s' }, ['connectTimeout'], 'must be longer than 0s'],
    [ROUTE, { redirect: {} }, [], 'match is needed'],
    [ROUTE, { match: { prefix: '/' } }, [], 'envoy.config.route.v3.Route needs one of'],
    [ROUTE, { match: {}, redirect: {} }, ['match'], 'envoy.config.route.v3.RouteMatch needs one of'],
    [
      ROUTE,
      { match: { prefix: '/' }, direct_response: { status: 700 } },
      ['direct_response', 'status'],
      'must be less than 600',
    ],
    [
      ROUTE,
      { match: { prefix: '/' }, redirect: {}, response_headers_to_add: [{ header: { key: 'a\nb' } }] },
      ['response_headers_to_add', 0, 'header', 'key'],
      'is no name of a header',
    ],
    [
      FILTER,
      { name: 'a', typed_config: { ...LIMITED, max_connections: 0 } },
      ['typed_config', 'max_connections'],
      'must be 1 at least',
    ],
    [FILTER, { name: 'a' }, [], 'a filter needs its typed_config'],
    [
      FILTER,
      { name: 'a', typed_config: CORS },
      ['typed_config', '@type'],
      'is no network filter, but a filter of HTTP',
    ],
    [
      HTTP_FILTER,
      { name: 'a', config_discovery: { config_source: { ads: {} }, type_urls: [CORS['@type'], LIMIT] } },
      ['config_discovery', 'type_urls', 1],
      'is no filter of HTTP, but a network filter',
    ],
    [
      HTTP_FILTER,
      { name: 'a', typed_config: { '@type': STRUCT, type_url: CORS['@type'], value: { no: 1 } } },
      ['typed_config', 'value', 'no'],
      'has no field no',
    ],
    [
      HTTP_FILTER,
      {
        name: 'a',
        typed_config: { '@type': STRUCT, type_url: LIMIT, value: { stat_prefix: 'a', max_connections: 1 } },
      },
      ['typed_config', '@type'],
      'is no filter of HTTP',
    ],
    [
      ROUTE,
      { match: { prefix: '/' }, redirect: {}, request_headers_to_add: [{ header: { key: 'host' } }] },
      ['request_headers_to_add', 0, 'header', 'key'],
      'no headers that a route changes',
    ],
    [
      ROUTE,
      { match: { prefix: '/' }, redirect: {}, response_headers_to_remove: ['a', ':path'] },
      ['response_headers_to_remove', 1],
      'no headers that a route changes',
    ],
    [
      ROUTE,
      { match: { prefix: '/' }, route: { weighted_clusters: { clusters: [{ name: 'a', weight: 0 }] } } },
      ['route', 'weighted_clusters', 'clusters'],
      'all weights are 0',
    ],
    [
      FILTER,
      { name: 'a', typed_config: { '@type': LIMIT, stat_prefix: 'a' } },
      ['typed_config'],
      'max_connections is needed',
    ],
  ])('%s %j', (type, json, path, reason) => {
    const found = mistakeIn(type, json as JsonObject)
    expect(found?.path).toEqual(path)
    expect(found?.reason).toContain(reason)
  })

  it.each([
    [CLUSTER, { name: 'a', connect_timeout: '1s' }],
    [ROUTE, { match: { prefix: '/' }, redirect: {} }],
    [FILTER, { name: 'a', typed_config: LIMITED }],
  ])('takes %s %j', (type, json) => {
    expect(mistakeIn(type, json as JsonObject)).toBeUndefined()
  })

  it('asks of what is laid over another message only what it has', () => {
    expect(mistakeIn(CLUSTER, {}, true)).toBeUndefined()
    expect(mistakeIn(ROUTE, { match: {} }, true)).toBeUndefined()
    expect(mistakeIn(CLUSTER, { connect_timeout: '0s' }, true)?.path).toEqual(['connect_timeout'])
  })
})
