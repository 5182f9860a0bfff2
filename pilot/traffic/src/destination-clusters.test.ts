import { fromBinary } from '@bufbuild/protobuf'
import { TypeUrl } from '@seine/envoy'
import { ClusterSchema } from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { expect, it } from 'vitest'
import { listenerTarget } from '../test/listener-target.ts'
import { DestinationIndex, underName } from './destination-clusters.ts'
import { encode } from './encode.ts'
import type { ListenerTarget } from './listeners/targets.ts'
import { destinationClusterName } from './names.ts'

const target = (hostname: string, address: string, meshed = true) =>
  listenerTarget(hostname, 5432, address, { meshed })

it('an address is the service’s that has it, and of several the first by name', () => {
  const all = new Map<string, readonly ListenerTarget[]>([['b', [target('b', '10.96.0.1')]]])
  const index = new DestinationIndex(all)
  const found = (address: string) => index.get(destinationClusterName(address, 5432))?.cluster
  expect([found('10.96.0.1'), found('10.96.0.2')]).toEqual(['outbound|5432||b', undefined])
  index.replace([], [target('a', '10.96.0.1')])
  index.replace([], [target('x', '10.96.0.3', false)])
  expect([found('10.96.0.1'), found('10.96.0.3')]).toEqual(['outbound|5432||a', undefined])
  index.replace([target('a', '10.96.0.1')], [target('a', '10.96.0.2')])
  expect([found('10.96.0.1'), found('10.96.0.2')]).toEqual(['outbound|5432||b', 'outbound|5432||a'])
  index.replace([target('b', '10.96.0.1')], [])
  expect(found('10.96.0.1')).toBeUndefined()
})

it('an address of IPv6 is written as Envoy writes it', () => {
  expect(destinationClusterName('fd00::7', 5432)).toBe('destination|[fd00::7]:5432')
})

it('a cluster under another name keeps its statistics, and says whom its connections are counted for', () => {
  const own = 'outbound|5432||db'
  const real = encode(
    ClusterSchema,
    own,
    {
      name: own,
      edsClusterConfig: {},
      loadAssignment: { clusterName: own },
      metadata: { filterMetadata: { istio: { services: [] }, seine: { causes: ['Service a/db'] } } },
    },
    [],
  )
  const service = { hostname: 'db.a.svc', name: 'db', namespace: 'a' }
  const renamed = underName(TypeUrl.cluster, real, 'destination|x', { cluster: own, service })
  expect(underName(TypeUrl.cluster, real, 'destination|x', { cluster: own, service })).toBe(renamed)
  expect(fromBinary(ClusterSchema, renamed.bytes)).toMatchObject({
    name: 'destination|x',
    altStatName: own,
    edsClusterConfig: { serviceName: 'destination|x' },
    loadAssignment: { clusterName: 'destination|x' },
    metadata: {
      filterMetadata: {
        istio: {
          services: [],
          destination_service: 'db.a.svc',
          destination_service_name: 'db',
          destination_service_namespace: 'a',
        },
        seine: { causes: ['Service a/db'] },
      },
    },
  })
})
