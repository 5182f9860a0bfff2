import type { Expectation } from './changes.ts'
import { type ProxyIdentity, type ReceiptObserver, SimulatedProxy } from './simulated-proxy.ts'

/** What the sidecars had received of a change when the wait for it ended. */
export interface Receipt {
  /** Time from the start of the wait to each sidecar's receipt of everything expected, ms. */
  readonly latenciesMs: readonly number[]
  /** Sidecars that had not received it in time. */
  readonly missing: number
}

interface Wait {
  readonly startedAt: number
  /** By `type name`. */
  readonly expected: ReadonlyMap<string, Expectation>
  /** Sidecar → what it is still to receive. */
  readonly open: Map<number, Set<string>>
  readonly latenciesMs: number[]
  readonly done: () => void
}

/** All simulated sidecars of a run, and what they receive. */
export class Fleet implements ReceiptObserver {
  readonly #proxies: SimulatedProxy[] = []
  #wait: Wait | undefined
  #failure: string | undefined
  #onReceived: ReceiptObserver['received'] | undefined

  /** Connects sidecars to a control plane, all at once. */
  connect(address: string, identities: readonly ProxyIdentity[]): void {
    for (const [index, identity] of identities.entries())
      this.#proxies.push(new SimulatedProxy(index, address, identity, this))
  }

  /** All workloads send first requests to a host. */
  call(host: string): void {
    for (const proxy of this.#proxies) proxy.call([host])
  }

  get size(): number {
    return this.#proxies.length
  }

  /** Bytes of all responses that all sidecars have received. */
  get bytes(): number {
    return this.#proxies.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Resolves with the time each sidecar took to hold this many resources of each type, ms. */
  async configured(counts: ReadonlyMap<string, number>, withinMs: number): Promise<Receipt> {
    const startedAt = performance.now()
    const latencies = new Map<number, number>()
    while (latencies.size < this.#proxies.length && performance.now() - startedAt < withinMs) {
      this.#throwOnFailure()
      for (const proxy of this.#proxies) {
        const complete = [...counts].every(([type, count]) => proxy.holds(type) >= count)
        if (complete && !latencies.has(proxy.index)) latencies.set(proxy.index, performance.now() - startedAt)
      }
      await pause(2)
    }
    return { latenciesMs: [...latencies.values()], missing: this.#proxies.length - latencies.size }
  }

  /** Makes a change and waits until every sidecar has received all that is expected of it. */
  async receive(
    make: () => Promise<void>,
    expected: readonly Expectation[],
    withinMs: number,
  ): Promise<Receipt> {
    const keys = expected.map(({ type, name }) => `${type} ${name}`)
    let done = () => {}
    const all = new Promise<void>(resolve => {
      done = resolve
    })
    const wait: Wait = {
      startedAt: performance.now(),
      expected: new Map(expected.map((one, index) => [keys[index] ?? '', one])),
      open: new Map(this.#proxies.map(({ index }) => [index, new Set(keys)])),
      latenciesMs: [],
      done,
    }
    this.#wait = wait
    const timer = setTimeout(done, withinMs)
    await make()
    await all
    clearTimeout(timer)
    this.#wait = undefined
    this.#throwOnFailure()
    return { latenciesMs: wait.latenciesMs, missing: wait.open.size }
  }

  /** Tells of everything that is received from now on; of nothing any more without an observer. */
  observe(onReceived: ReceiptObserver['received'] | undefined): void {
    this.#onReceived = onReceived
    this.#throwOnFailure()
  }

  received(proxy: number, type: string, name: string, value: Uint8Array | undefined): void {
    this.#onReceived?.(proxy, type, name, value)
    const wait = this.#wait
    const expectation = wait?.expected.get(`${type} ${name}`)
    if (!wait || !expectation) return
    const at = performance.now()
    const open = wait.open.get(proxy)
    if (!open || !expectation.holds(value)) return
    open.delete(`${type} ${name}`)
    if (open.size > 0) return
    wait.open.delete(proxy)
    wait.latenciesMs.push(at - wait.startedAt)
    if (wait.open.size === 0) wait.done()
  }

  failed(proxy: number, reason: string): void {
    this.#failure ??= `sidecar ${proxy} lost its stream: ${reason}`
    this.#wait?.done()
  }

  close(): void {
    for (const proxy of this.#proxies) proxy.close()
  }

  #throwOnFailure(): void {
    if (this.#failure) throw new Error(this.#failure)
  }
}

/** Resolves after some milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise(resolve => void setTimeout(resolve, ms))
}
