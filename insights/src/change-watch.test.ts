import { FakeClock, type Problem, silentLogger } from '@seine/kit'
import { meshOf, serviceYaml } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { ChangeWatch } from './change-watch.ts'
import type { HubProxy } from './hub-inputs.ts'

const PROXY: HubProxy = { id: 'sidecar~10.1.0.1~web.default~x', protocol: 'delta', connectedAt: 1, types: {} }

function watched() {
  const clock = new FakeClock()
  const told: string[] = []
  const state = {
    snapshot: meshOf(),
    problems: [] as Problem[],
    proxies: [] as HubProxy[],
    heard: true,
    away: false,
  }
  const watch = new ChangeWatch({
    inputs: {
      snapshot: () => state.snapshot,
      findings: async () => [],
      problems: async () => {
        if (state.away) throw new Error('pilot does not answer')
        return state.problems
      },
      proxies: async () => state.proxies,
    },
    clock,
    logger: silentLogger,
    isHeard: () => state.heard,
    tell: type => told.push(type),
  })
  watch.start()
  const second = async () => {
    clock.advance(1000)
    await new Promise<void>(resolve => setImmediate(resolve))
    return told.splice(0)
  }
  return { state, second, watch, clock }
}

describe('the change watch', () => {
  it('tells of another configuration, other problems and other acknowledgements', async () => {
    const { state, second } = watched()
    expect(await second()).toEqual([])
    state.snapshot = { ...meshOf(serviceYaml('web')), version: 7 }
    expect(await second()).toEqual(['config'])
    state.problems = [{ severity: 'error', code: 'x', message: 'y' }]
    expect(await second()).toEqual(['config'])
    state.proxies = [PROXY]
    expect(await second()).toEqual(['proxies'])
    state.proxies = [{ ...PROXY, types: { CDS: { resources: 1, state: 'SYNCED', ackedAt: 5 } } }]
    state.problems = []
    expect(await second()).toEqual(['config', 'proxies'])
    expect(await second()).toEqual([])
  })

  it('does not look while nobody listens, and tells nothing of what changed meanwhile', async () => {
    const { state, second } = watched()
    await second()
    state.heard = false
    state.proxies = [PROXY]
    expect(await second()).toEqual([])
    state.heard = true
    expect(await second()).toEqual([])
  })

  it('goes on when the control plane was away', async () => {
    const { state, second, watch, clock } = watched()
    await second()
    state.away = true
    expect(await second()).toEqual([])
    state.away = false
    state.proxies = [PROXY]
    expect(await second()).toEqual(['proxies'])
    watch.close()
    expect(clock.pending).toEqual([])
  })
})
