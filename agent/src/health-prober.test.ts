import { create } from '@bufbuild/protobuf'
import type { ReadinessProbe } from '@seine/api'
import { DeltaDiscoveryResponseSchema } from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { FakeClock, silentLogger } from '@seine/kit'
import { beforeEach, describe, expect, it } from 'vitest'
import { HealthProber } from './health-prober.ts'

describe('HealthProber', () => {
  let clock: FakeClock
  /** What the workload answers from now on: why it can't take requests. */
  let answer: string | undefined
  let asked: ReadinessProbe[]
  let told: (string | undefined)[]
  let prober: HealthProber

  beforeEach(() => {
    clock = new FakeClock()
    answer = undefined
    asked = []
    told = []
    prober = new HealthProber({
      clock,
      logger: silentLogger,
      ask: async probe => {
        asked.push(probe)
        return answer
      },
      onHealth: health => told.push(health && (health.healthy ? 'well' : health.reason)),
    })
  })

  const takes = (probe: unknown, version = '1') =>
    prober.take(
      create(DeltaDiscoveryResponseSchema, {
        resources: [
          {
            name: 'readiness',
            version,
            resource: { value: new TextEncoder().encode(JSON.stringify(probe)) },
          },
        ],
      }),
    )
  const loses = () => prober.take(create(DeltaDiscoveryResponseSchema, { removedResources: ['readiness'] }))
  /** Moves on by a period, and lets what was asked be answered. */
  const passes = async (seconds: number, times = 1) => {
    for (let i = 0; i < times; i++) {
      clock.advance(seconds * 1000)
      await new Promise(setImmediate)
    }
  }

  it('asks at once and every ten seconds, and tells of changes only', async () => {
    takes({ tcpSocket: { port: 80 } })
    await passes(0)
    expect(asked).toEqual([{ tcpSocket: { port: 80 } }])
    expect(told).toEqual(['well'])
    await passes(9)
    expect(asked).toHaveLength(1)
    await passes(1)
    expect(asked).toHaveLength(2)
    answer = 'gone'
    await passes(10, 2)
    expect(told).toEqual(['well'])
    await passes(10)
    expect(told).toEqual(['well', 'gone'])
    answer = undefined
    await passes(10)
    expect(told).toEqual(['well', 'gone', 'well'])
  })

  it('waits before it first asks, and counts as the probe says', async () => {
    answer = 'starting'
    takes({
      initialDelaySeconds: 30,
      periodSeconds: 2,
      successThreshold: 2,
      failureThreshold: 4,
      tcpSocket: { port: 80 },
    })
    await passes(29)
    expect(asked).toEqual([])
    await passes(1)
    await passes(2, 2)
    expect(told).toEqual([])
    answer = undefined
    await passes(2)
    answer = 'starting'
    // One good answer between: both counts begin anew.
    await passes(2, 3)
    expect(told).toEqual([])
    await passes(2)
    expect(told).toEqual(['starting'])
    answer = undefined
    await passes(2)
    expect(told).toEqual(['starting'])
    await passes(2)
    expect(told).toEqual(['starting', 'well'])
  })

  it('asks as a probe that has changed says, without waiting again', async () => {
    takes({ initialDelaySeconds: 5, tcpSocket: { port: 80 } })
    await passes(5)
    takes({ initialDelaySeconds: 5, periodSeconds: 1, tcpSocket: { port: 81 } }, '2')
    await passes(0)
    expect(asked.map(({ tcpSocket }) => tcpSocket?.port)).toEqual([80, 81])
    await passes(1)
    expect(asked.map(({ tcpSocket }) => tcpSocket?.port)).toEqual([80, 81, 81])
    expect(prober.versions()).toEqual({ readiness: '2' })
    expect(told).toEqual(['well'])
  })

  it('asks no more when there is no probe any more, and knows nothing then', async () => {
    takes({ tcpSocket: { port: 80 } })
    await passes(0)
    loses()
    await passes(100)
    expect(asked).toHaveLength(1)
    expect(told).toEqual(['well', undefined])
    expect(prober.versions()).toEqual({})
  })

  it('tells nothing of an answer that comes when nobody wants it any more', async () => {
    takes({ tcpSocket: { port: 80 } })
    prober.close()
    await passes(100)
    expect(asked).toHaveLength(1)
    expect(told).toEqual([])
  })

  it('refuses what is no probe, and goes on with the one it has', async () => {
    takes({ tcpSocket: { port: 80 } })
    expect(() => takes(['x'], '2')).toThrow('a probe must be an object')
    await passes(0)
    await passes(10)
    expect(asked).toHaveLength(2)
    expect(prober.versions()).toEqual({ readiness: '1' })
  })
})
