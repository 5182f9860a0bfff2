import { afterEach, expect, test } from 'vitest'
import {
  type Answer,
  countBy,
  describeMesh,
  documents,
  eventually,
  expectShare,
  PeerPort,
  resource,
  serviceEntry,
} from '../harness/index.ts'

const HOST = 'places.shop.example'
const URL = `http://${HOST}/`

function versions(answers: readonly Answer[]): Record<string, number> {
  return countBy(answers, ({ echo, status }) => echo?.version ?? String(status))
}

/** The client is in `r1/z1`, as a label of its pod says. */
describeMesh('endpoints by place', mesh => {
  const client = () => mesh().pod('client')
  const ask = async (count = 20) => versions(await client().http(URL, { count }))
  const apply = (trafficPolicy: Record<string, unknown>) => {
    const places = [
      ['echo-v1', 'r1/z1', 'gold'],
      ['echo-v2', 'r1/z2', 'silver'],
      ['echo-v3', 'r2/z1', 'gold'],
    ] as const
    return mesh().apply(
      'locality',
      documents(
        serviceEntry('places', {
          hosts: [HOST],
          location: 'MESH_EXTERNAL',
          resolution: 'STATIC',
          ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: PeerPort.http }],
          endpoints: places.map(([name, locality, tier]) => ({
            address: mesh().pod(name).ip,
            locality,
            labels: { tier },
          })),
        }),
        resource('networking.istio.io/v1', 'DestinationRule', 'shop', 'places', {
          spec: { host: HOST, trafficPolicy },
        }),
      ),
    )
  }

  afterEach(async () => {
    for (const pod of mesh().pods('echo')) await pod.misbehave({})
  })

  test('without outlier detection, all places are alike', async () => {
    await apply({ loadBalancer: { simple: 'ROUND_ROBIN' } })
    expect(Object.keys(await ask(30)).sort()).toEqual(['v1', 'v2', 'v3'])
  })

  test('the own zone first, then the region, then others; and back again', async () => {
    await apply({
      outlierDetection: {
        consecutive5xxErrors: 2,
        interval: '0.2s',
        baseEjectionTime: '1s',
        maxEjectionPercent: 100,
      },
    })
    expect(await ask()).toEqual({ v1: 20 })
    await mesh().pod('echo-v1').misbehave({ status: 500 })
    await eventually(async () => expect(await ask()).toEqual({ v2: 20 }))
    await mesh().pod('echo-v2').misbehave({ status: 500 })
    await eventually(async () => expect(await ask()).toEqual({ v3: 20 }))
    await mesh().pod('echo-v1').misbehave({})
    await eventually(async () => expect(await ask()).toEqual({ v1: 20 }))
  })

  test('labels by which endpoints are preferred', async () => {
    await apply({
      outlierDetection: {},
      loadBalancer: { localityLbSetting: { failoverPriority: ['tier=gold'] } },
    })
    expect(Object.keys(await ask(40)).sort()).toEqual(['v1', 'v3'])
  })

  test('shares by place', async () => {
    const distribute = [{ from: 'r1/*', to: { 'r1/z1': 20, r2: 80 } }]
    await apply({ loadBalancer: { localityLbSetting: { distribute } } })
    const total = 400
    const counts = await ask(total)
    expectShare(counts['v1'] ?? 0, total, 0.2)
    expectShare(counts['v3'] ?? 0, total, 0.8)
    expect(counts['v2']).toBeUndefined()
  })
})
