import type { MeshResource } from '@seine/api'
import { MeshModel } from '@seine/model'
import { objectYaml, podYaml, resourcesOf, serviceYaml } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { reasonsForService, reasonsForWorkload } from './concerns.ts'
import { indexOf } from './mesh-index.ts'

const NETWORKING = 'networking.istio.io/v1'
const SECURITY = 'security.istio.io/v1'
const reviewsLabels = (version: string) => ({ labels: { app: 'reviews', version } })

const BASE = [
  serviceYaml('reviews'),
  serviceYaml('details', { clusterIP: '10.96.0.11' }),
  serviceYaml('reviews', { clusterIP: '10.96.0.12', namespace: 'shop' }),
  serviceYaml('empty', { clusterIP: '10.96.0.13' }),
  podYaml('reviews-v1-a', '10.1.0.1', reviewsLabels('v1')),
  podYaml('reviews-v2-a', '10.1.0.2', { ...reviewsLabels('v2'), ready: false }),
  podYaml('details-v1-a', '10.1.0.3', { labels: { app: 'details', version: 'v1' }, meshed: false }),
  podYaml('reviews-v1-b', '10.1.0.4', { ...reviewsLabels('v1'), namespace: 'shop' }),
]

/** What a resource says of each service and workload that it concerns. */
function concerns(...yaml: string[]): Record<string, string[]> {
  const resources = resourcesOf(...BASE, ...yaml)
  const model = new MeshModel()
  const { snapshot } = model.apply({ upserts: resources, deletes: [] })
  const index = indexOf(snapshot)
  const added = resources.at(-1) as MeshResource
  const texts = (reasons: ReturnType<typeof reasonsForService>) =>
    reasons.map(({ message, path }) => (path ? `${message} (${path})` : message))
  const found: Record<string, string[]> = {}
  for (const service of snapshot.services.values()) {
    const reasons = texts(reasonsForService(added, service, index))
    if (reasons.length > 0) found[`${service.namespace}/${service.name}`] = reasons
  }
  for (const [pod, workload] of snapshot.workloads) {
    const reasons = texts(reasonsForWorkload(added, workload, index))
    if (reasons.length > 0) found[pod] = reasons
  }
  return found
}

const policy = (kind: string, name: string, labels?: Record<string, string>) =>
  objectYaml(SECURITY, kind, name, labels ? { selector: { matchLabels: labels } } : {})

describe('policies concern', () => {
  it('the whole mesh from the root namespace', () => {
    const all = ['holds for the whole mesh']
    const everyone = {
      'default/reviews': all,
      'shop/reviews': all,
      'default/empty': all,
      'default/reviews-v1-a': all,
      'default/reviews-v2-a': all,
      'shop/reviews-v1-b': all,
    }
    expect(concerns(policy('PeerAuthentication', 'default.istio-system'))).toEqual(everyone)
    expect(concerns(policy('AuthorizationPolicy', 'deny.istio-system'))).toEqual(everyone)
  })

  it('a namespace from there', () => {
    const all = ['holds for namespace shop']
    const shop = { 'shop/reviews': all, 'shop/reviews-v1-b': all }
    expect(concerns(policy('PeerAuthentication', 'default.shop'))).toEqual(shop)
    expect(concerns(policy('AuthorizationPolicy', 'deny.shop'))).toEqual(shop)
  })

  it('the versions that their selector selects, and the services of these', () => {
    const found = ['selects reviews-v1-a (spec.selector)']
    expect(concerns(policy('AuthorizationPolicy', 'v1', { app: 'reviews', version: 'v1' }))).toEqual({
      'default/reviews': found,
      'default/reviews-v1-a': found,
    })
    const other = ['selects reviews-v2-a (spec.selector)']
    expect(concerns(policy('PeerAuthentication', 'v2', { version: 'v2' }))).toEqual({
      'default/reviews': other,
      'default/reviews-v2-a': other,
    })
  })

  it('selected workloads of every namespace from the root one; a PeerAuthentication does not', () => {
    const found = concerns(policy('AuthorizationPolicy', 'v1.istio-system', { version: 'v1' }))
    expect(Object.keys(found).sort()).toEqual([
      'default/reviews',
      'default/reviews-v1-a',
      'shop/reviews',
      'shop/reviews-v1-b',
    ])
    expect(concerns(policy('PeerAuthentication', 'v1.istio-system', { version: 'v1' }))).toEqual({})
  })

  it('services whose workloads are yet to come, by their selector', () => {
    expect(concerns(policy('AuthorizationPolicy', 'empty', { app: 'empty' }))).toEqual({
      'default/empty': ['selects its workloads (spec.selector)'],
    })
  })

  it('nobody without a sidecar', () => {
    expect(concerns(policy('AuthorizationPolicy', 'details', { app: 'details' }))).toEqual({})
  })
})

describe('routing concerns', () => {
  it('services whose hosts it is for, and those that it sends to', () => {
    const route = (host: string) => ({ destination: { host } })
    const virtualService = objectYaml(NETWORKING, 'VirtualService', 'front', {
      hosts: ['reviews'],
      http: [{ route: [route('reviews'), { ...route('details'), weight: 1 }], mirror: { host: 'empty' } }],
    })
    const sends = (name: string, path: string) => `sends calls to ${name}.default.svc.cluster.local (${path})`
    const ofReviews = [
      'routes calls to reviews.default.svc.cluster.local (spec.hosts[0])',
      sends('reviews', 'spec.http[0].route[0].destination'),
    ]
    expect(concerns(virtualService)).toEqual({
      'default/reviews': ofReviews,
      'default/reviews-v1-a': ofReviews,
      'default/reviews-v2-a': ofReviews,
      'default/details': [sends('details', 'spec.http[0].route[1].destination')],
      'default/details-v1-a': [sends('details', 'spec.http[0].route[1].destination')],
      'default/empty': [sends('empty', 'spec.http[0].mirror')],
    })
  })

  it('all services that a wildcard covers', () => {
    const rule = objectYaml(NETWORKING, 'DestinationRule', 'all', { host: '*.shop.svc.cluster.local' })
    const reason = ['applies to calls to reviews.shop.svc.cluster.local (spec.host)']
    expect(concerns(rule)).toEqual({ 'shop/reviews': reason, 'shop/reviews-v1-b': reason })
  })
})

it('what declares a service or a workload concerns it, and its services', () => {
  expect(concerns(serviceYaml('web', { clusterIP: '10.96.0.20' }))).toEqual({
    'default/web': ['declares web.default.svc.cluster.local'],
  })
  expect(concerns(podYaml('web-1', '10.1.0.9'))).toEqual({ 'default/web-1': ['describes it'] })
  const entry = objectYaml(NETWORKING, 'ServiceEntry', 'machines', {
    hosts: ['machines.example.com'],
    location: 'MESH_INTERNAL',
    resolution: 'STATIC',
    ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    workloadSelector: { labels: { app: 'machine' } },
  })
  const machine = objectYaml(NETWORKING, 'WorkloadEntry', 'm1', {
    address: '10.2.0.1',
    labels: { app: 'machine' },
  })
  expect(concerns(entry, machine)).toEqual({
    'default/machines.example.com': ['is an endpoint of it (spec.address)'],
    'default/m1': ['describes it'],
  })
})

it('the settings of the mesh concern everything', () => {
  const settings = (name: string) =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: 'istio-system' },
      data: { mesh: 'accessLogFile: /dev/stdout' },
    })
  expect(Object.keys(concerns(settings('istio')))).toHaveLength(8)
  expect(concerns(settings('other'))).toEqual({})
})

describe('a WorkloadGroup concerns', () => {
  it('the workloads that registered by it, and the services that those serve', () => {
    const entry = JSON.stringify({
      apiVersion: NETWORKING,
      kind: 'WorkloadEntry',
      metadata: {
        name: 'vms-10.9.0.1',
        namespace: 'default',
        ownerReferences: [{ apiVersion: NETWORKING, kind: 'WorkloadGroup', name: 'vms', uid: 'x' }],
      },
      spec: { address: '10.9.0.1', labels: { app: 'details' } },
    })
    expect(concerns(entry, objectYaml(NETWORKING, 'WorkloadGroup', 'vms', { template: {} }))).toEqual({
      'default/details': ['workloads of it are endpoints (spec.template)'],
      'default/vms-10.9.0.1': ['is what it registered by (spec.template)'],
    })
    expect(concerns(entry, objectYaml(NETWORKING, 'WorkloadGroup', 'others', { template: {} }))).toEqual({})
  })
})
