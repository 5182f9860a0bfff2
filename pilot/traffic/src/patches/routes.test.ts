import { create, fromJson, type JsonObject } from '@bufbuild/protobuf'
import type { EnvoyFilter } from '@seine/api'
import { RouteConfigurationSchema } from '@seine/envoy/envoy/config/route/v3/route'
import { objectYaml, resourcesOf } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { Journal } from './journal.ts'
import { type PatchContext, patchesOf } from './patch.ts'
import { patchRoutes } from './routes.ts'

/** The table after one patch with this match, and whether the patch took hold. */
function patched(name: string, match: object, context: PatchContext = 'GATEWAY') {
  const value = { name: 'own', domains: ['own.example.com'] }
  const text = objectYaml('networking.istio.io/v1alpha3', 'EnvoyFilter', 'test', {
    configPatches: [
      { applyTo: 'VIRTUAL_HOST', match: { routeConfiguration: match }, patch: { operation: 'ADD', value } },
    ],
  })
  const [filter] = resourcesOf(text) as [EnvoyFilter]
  const table = create(RouteConfigurationSchema, { name })
  const journal = new Journal()
  patchRoutes(table, patchesOf(filter), context, journal)
  return [table.virtualHosts.map(host => host.name), journal.applied.size]
}

describe('a table of a gateway', () => {
  const TAKEN = [['own'], 1]
  const PASSED = [[], 0]

  it.each([
    ['http.80', { portNumber: 80 }, TAKEN],
    ['http.80', { portNumber: 8080 }, PASSED],
    ['https.443.secure.public.default', { portName: 'secure' }, TAKEN],
    ['https.443.secure.public.default', { portName: 'other' }, PASSED],
    ['https.443.secure.public.default', { gateway: 'default/public', portNumber: 443 }, TAKEN],
    ['https.443.secure.public.default', { gateway: 'other/public' }, PASSED],
    ['http.80', { gateway: 'default/public' }, PASSED],
    ['http.80', { name: 'http.80' }, TAKEN],
  ])('%s is matched by %j', (name, match, expected) => {
    expect(patched(name, match)).toEqual(expected)
  })

  it('is not matched as a sidecar’s is', () => {
    expect(patched('80', { portNumber: 80 })).toEqual(PASSED)
    expect(patched('80', { portNumber: 80 }, 'SIDECAR_OUTBOUND')).toEqual(TAKEN)
    expect(patched('inbound|8080||', { portNumber: 8080 }, 'SIDECAR_INBOUND')).toEqual(TAKEN)
  })
})

describe('routes of a virtual host', () => {
  const host = {
    name: 'web:80',
    domains: ['web'],
    routes: ['a', 'b'].map(name => ({
      name,
      match: { prefix: `/${name}` },
      directResponse: { status: 200 },
    })),
  }
  const after = (operation: string, route?: string) => {
    const value = { name: 'new', match: { prefix: '/new' }, directResponse: { status: 204 } }
    const vhost = route === undefined ? {} : { vhost: { name: 'web:80', route: { name: route } } }
    const text = objectYaml('networking.istio.io/v1alpha3', 'EnvoyFilter', 'test', {
      configPatches: [
        { applyTo: 'HTTP_ROUTE', match: { routeConfiguration: vhost }, patch: { operation, value } },
      ],
    })
    const [filter] = resourcesOf(text) as [EnvoyFilter]
    const json = { name: '80', virtualHosts: [structuredClone(host)] } as unknown as JsonObject
    const table = fromJson(RouteConfigurationSchema, json)
    patchRoutes(table, patchesOf(filter), 'SIDECAR_OUTBOUND', new Journal())
    return table.virtualHosts[0]?.routes.map(({ name }) => name).join(' ')
  }

  it.each([
    ['ADD', undefined, 'a b new'],
    ['INSERT_FIRST', undefined, 'new a b'],
    ['INSERT_BEFORE', undefined, 'new a b'],
    ['INSERT_AFTER', undefined, 'a b new'],
    ['INSERT_BEFORE', 'b', 'a new b'],
    ['INSERT_AFTER', 'a', 'a new b'],
    ['INSERT_FIRST', 'b', 'new a b'],
    ['INSERT_FIRST', 'c', 'a b'],
    ['INSERT_BEFORE', 'c', 'a b'],
    ['REMOVE', 'a', 'b'],
    ['MERGE', 'a', 'new b'],
  ])('%s at %s: %s', (operation, route, expected) => {
    expect(after(operation, route)).toBe(expected)
  })
})
