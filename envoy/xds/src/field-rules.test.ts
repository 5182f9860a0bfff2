import type { JsonObject } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import { ruleMistake } from './field-rules.ts'
import { messageFromJson, messageType } from './json.ts'

const CLUSTER = 'envoy.config.cluster.v3.Cluster'
const ROUTE = 'envoy.config.route.v3.Route'
const FILTER = 'envoy.config.listener.v3.Filter'
const LIMIT = 'type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit'
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
