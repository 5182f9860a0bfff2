import { describe, expect, it } from 'vitest'
import { listenerTarget as target } from '../../test/listener-target.ts'
import { type OnDemandPorts, OnDemandTargets } from './on-demand.ts'
import type { ListenerTarget } from './targets.ts'

/** Whether a target needs no listener. */
const covers = ({ targets }: OnDemandPorts, target: ListenerTarget) => !targets.includes(target)

const of = (targets: readonly ListenerTarget[], ...httpPorts: number[]) =>
  all(targets).ports(new Map(httpPorts.map(port => [port, undefined])))

function all(targets: readonly ListenerTarget[]): OnDemandTargets {
  const found = new OnDemandTargets()
  for (const one of targets) found.add(one)
  return found
}

describe('targets that need no listener', () => {
  it('are those that an address tells from others', () => {
    const db = target('db', 5432, '10.96.0.7')
    const found = of([db, target('other', 5432, '10.97.3.4'), target('six', 6379, 'fd00:1:2:3::7')])
    expect([...found.ports]).toEqual([5432, 6379])
    expect(found.ranges).toEqual(['10.96.0.0/16', '10.97.0.0/16', 'fd00:1:2:3::/64'])
    expect(covers(found, db)).toBe(true)
  })

  it('are not those whose connections go elsewhere than to their own cluster, or last as a rule says', () => {
    const db = target('db', 5432, '10.96.0.7')
    const elsewhere = { ...db, routing: { ...db.routing, clusters: [{ name: 'other', weight: 1 }] } }
    const short = { ...db, routing: { ...db.routing, idleTimeout: '3s' } }
    for (const other of [elsewhere, short, { ...db, meshed: false }]) {
      expect(of([other]).ports.size).toBe(0)
      const beside = of([other, target('plain', 5432, '10.96.0.8')])
      expect([[...beside.ports], covers(beside, other)]).toEqual([[5432], false])
    }
  })

  it('are on no port on which a range, a name or nothing tells connections apart', () => {
    const plain = target('db', 443, '10.96.0.7')
    const others: Partial<ListenerTarget>[] = [
      { addresses: [], ranges: ['10.0.0.0/8'] },
      { addresses: [], serverName: 'api.example' },
      { addresses: [] },
      { place: { addresses: ['127.0.0.1'], bound: true } },
    ]
    for (const other of others)
      expect(covers(of([plain, target('x', 443, '10.1.1.1', other)]), plain)).toBe(false)
  })

  it('find out a protocol only where their port does not declare it', () => {
    const [declared, detected] = [
      target('db', 80, '10.96.0.7'),
      target('web', 80, '10.96.0.8', { detected: true }),
    ]
    expect(covers(of([declared]), declared)).toBe(true)
    for (const found of [of([declared, detected]), of([declared, detected], 80)])
      expect([covers(found, declared), covers(found, detected)]).toEqual([false, true])
    expect(of([declared], 80).ports.size).toBe(0)
  })

  it('of an address in short form lie in the range of its long form', () => {
    const ranges = ['::1', 'fd00::a:b', '2001:db8:1:2:3:4:5:6'].map(
      one => of([target('x', 1, one)]).ranges[0],
    )
    expect(ranges).toEqual(['0:0:0:0::/64', 'fd00:0:0:0::/64', '2001:db8:1:2::/64'])
  })

  it('are the same whatever came and went before, and whoever copied them', () => {
    const [declared, detected, external] = [
      target('db', 80, '10.96.0.7'),
      target('web', 80, '10.97.0.8', { detected: true }),
      target('out', 80, '10.98.0.9', { meshed: false }),
    ]
    const kept = all([declared])
    const before = kept.ports(new Map())
    const copied = kept.copy()
    for (const one of [detected, external]) copied.add(one)
    expect(copied.ports(new Map())).toEqual(of([declared, detected, external]))
    for (const one of [detected, external]) copied.remove(one)
    expect(copied.ports(new Map())).toEqual(before)
    expect(kept.ports(new Map())).toEqual(before)
    copied.remove(declared)
    expect(copied.ports(new Map())).toEqual({ ports: new Set(), ranges: [], targets: [] })
  })
})
