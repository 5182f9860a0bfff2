import type { WorkloadEntry } from '@seine/api'
import { FakeClock, silentLogger } from '@seine/kit'
import { MeshModel } from '@seine/model'
import { objectYaml, resourcesOf } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { RemoteEntries } from './remote-entries.ts'

const entry = (address: string): WorkloadEntry => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'WorkloadEntry',
  metadata: {
    name: 'vms',
    namespace: 'default',
    labels: {},
    annotations: { 'istio.io/autoRegistrationGroup': 'vms' },
  },
  spec: { address },
})
const WRITTEN = objectYaml('networking.istio.io/v1', 'WorkloadEntry', 'vms', { address: '10.9.0.9' })

describe('the entries of a pilot in another process', () => {
  it('come, change and go with what it answers, and stand while it does not', async () => {
    const clock = new FakeClock()
    const model = new MeshModel()
    let answer: readonly WorkloadEntry[] | undefined = [entry('10.9.0.1')]
    let asked = 0
    const read = async () => {
      asked++
      if (!answer) throw new Error('away')
      return answer
    }
    const entries = new RemoteEntries({ model, read, clock, logger: silentLogger })
    const address = () => [...model.resources.values()].map(one => (one as WorkloadEntry).spec.address).join()
    /** Lets the next look take place. */
    const next = async (now: typeof answer) => {
      answer = now
      const before = asked
      clock.advance(2000)
      // What was read is taken in within the same turn of the event loop.
      await new Promise(resolve => setImmediate(resolve))
      expect(asked).toBe(before + 1)
      return address()
    }
    await entries.start()
    expect(address()).toBe('10.9.0.1')
    const { snapshot } = model
    expect(await next([entry('10.9.0.1')])).toBe('10.9.0.1')
    expect(model.snapshot).toBe(snapshot)
    expect(await next([entry('10.9.0.2')])).toBe('10.9.0.2')
    expect(await next(undefined)).toBe('10.9.0.2')
    // One that people write under the name counts, and stays when pilot has none.
    model.apply({ upserts: resourcesOf(WRITTEN), deletes: [] })
    expect(await next([entry('10.9.0.2')])).toBe('10.9.0.9')
    expect(await next([])).toBe('10.9.0.9')
    model.apply({ upserts: [], deletes: [{ kind: 'WorkloadEntry', namespace: 'default', name: 'vms' }] })
    expect(await next([entry('10.9.0.2')])).toBe('10.9.0.2')
    expect(await next([])).toBe('')
    await entries.close()
    clock.advance(10_000)
    expect(asked).toBe(8)
  })
})
