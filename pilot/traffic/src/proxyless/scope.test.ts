import { fromBinary } from '@bufbuild/protobuf'
import { TypeUrl } from '@seine/envoy'
import { RouteConfigurationSchema } from '@seine/envoy/envoy/config/route/v3/route'
import { MeshModel } from '@seine/model'
import { objectYaml, podYaml, resourcesOf, serviceYaml, sidecar } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { TrafficGenerator } from '../generator.ts'

const GRPC = { metadata: { GENERATOR: 'grpc' }, labels: { app: 'client' } }
const PORTS = [{ name: 'grpc', port: 7070 }]
const greeter = serviceYaml('greeter', { clusterIP: '10.96.0.1', ports: PORTS })
const FULL = 'greeter.default.svc.cluster.local'

function mesh(...texts: string[]) {
  const model = new MeshModel()
  const { snapshot } = model.apply({ upserts: resourcesOf(...texts), deletes: [] })
  const generator = new TrafficGenerator(snapshot, [])
  const update = (...more: string[]) => {
    const { snapshot: next, changes } = model.apply({ upserts: resourcesOf(...more), deletes: [] })
    return generator.update(next, changes)
  }
  return { generator, update }
}

const rewritten = (name: string) =>
  objectYaml('networking.istio.io/v1', 'VirtualService', name, {
    hosts: [name],
    http: [{ rewrite: { authority: 'x' }, route: [{ destination: { host: name } }] }],
  })

describe('the names that a client has for a host', () => {
  const { generator } = mesh(greeter, podYaml('greeter', '10.1.0.1'))
  const here = generator.configurationOf(sidecar('client', GRPC))
  const elsewhere = generator.configurationOf(sidecar('client.shop', GRPC))

  it.each([
    ['greeter:7070', true, false],
    ['greeter.default:7070', true, true],
    ['greeter.default.svc:7070', true, true],
    [`${FULL}:7070`, true, true],
    ['greeter', false, false],
    ['greeter:80', false, false],
    [`${FULL}:7070:1`, false, false],
    ['other:7070', false, false],
  ])('%s: there in its namespace is %s, in another %s', (name, inOwn, inOther) => {
    for (const [configuration, expected] of [
      [here, inOwn],
      [elsewhere, inOther],
    ] as const) {
      const found = configuration.get(TypeUrl.listener, name)
      expect(found?.name).toBe(expected ? name : undefined)
    }
  })
})

it('the routes of a host that is gone are none, so that its calls end', () => {
  const { generator } = mesh(greeter)
  const client = generator.configurationOf(sidecar('client', GRPC))
  const routes = (name: string) => {
    const found = client.get(TypeUrl.route, name)
    return (
      found && fromBinary(RouteConfigurationSchema, found.bytes).virtualHosts.map(one => one.routes.length)
    )
  }
  expect(routes(`outbound|7070||${FULL}`)).toEqual([1])
  expect(routes('outbound|7070||gone.default.svc.cluster.local')).toEqual([0])
  expect(routes(`outbound|80||${FULL}`)).toEqual([0])
  expect(routes('80')).toBeUndefined()
})

describe('what changes', () => {
  it('is announced by every name that a client may wait for', () => {
    const { generator, update } = mesh(serviceYaml('other', { clusterIP: '10.96.0.2' }))
    const client = generator.configurationOf(sidecar('client', GRPC))
    expect(client.get(TypeUrl.listener, 'greeter.default:7070')).toBeUndefined()
    const changed = update(greeter)
    expect(changed.get(TypeUrl.listener)).toContain('greeter.default:7070')
    expect(changed.get(TypeUrl.cluster)).toContain(`outbound|7070||${FULL}`)
    expect(client.get(TypeUrl.listener, 'greeter.default:7070')).toBeDefined()
  })

  it('is nothing to proxyless clients where there are none', () => {
    const { generator, update } = mesh(serviceYaml('other', { clusterIP: '10.96.0.2' }))
    const proxy = sidecar('client', GRPC)
    generator.configurationOf(proxy)
    generator.forget(proxy)
    expect(update(greeter).get(TypeUrl.listener) ?? new Set()).not.toContain('greeter.default:7070')
  })
})

describe('problems', () => {
  it('are told of hosts that clients have asked for, while there are such clients', () => {
    const { generator } = mesh(greeter, rewritten('greeter'))
    expect(generator.problems()).toEqual([])
    const proxy = sidecar('client', GRPC)
    const client = generator.configurationOf(proxy)
    client.get(TypeUrl.route, `outbound|7070||${FULL}`)
    expect(generator.problems()).toMatchObject([
      {
        severity: 'warning',
        code: 'proxyless-unsupported',
        path: 'spec.http[0].rewrite',
        resource: { kind: 'VirtualService', namespace: 'default', name: 'greeter' },
        position: { file: 'test.yaml' },
      },
    ])
    generator.forget(proxy)
    expect(generator.problems()).toEqual([])
  })
})
