const BLOCK = 0xf0f00000 // 240.240.0.0/16, the block that Istio gives to ServiceEntries
const SIZE = 0x10000

/** Gives each ServiceEntry host without an address a virtual one that stays the same while the host exists. */
export class AddressAllocator {
  readonly #byHost = new Map<string, string>()
  readonly #taken = new Set<string>()

  /** The host's address; undefined when all 65,534 are given out. */
  allocate(host: string): string | undefined {
    const known = this.#byHost.get(host)
    if (known) return known
    const start = hash(host)
    for (let step = 0; step < SIZE; step++) {
      const offset = (start + step) % SIZE
      const address = format(BLOCK + offset)
      if (offset === 0 || offset === SIZE - 1 || this.#taken.has(address)) continue
      this.#byHost.set(host, address)
      this.#taken.add(address)
      return address
    }
    return undefined
  }

  /** The host is gone: its address may go to another one. */
  release(host: string): void {
    const address = this.#byHost.get(host)
    if (address === undefined) return
    this.#byHost.delete(host)
    this.#taken.delete(address)
  }
}

function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return (value >>> 0) % SIZE
}

function format(address: number): string {
  return [24, 16, 8, 0].map(shift => (address >>> shift) & 255).join('.')
}
