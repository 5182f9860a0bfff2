/** 240.240.0.0/16 and 2001:2::f0f0:0/112, the blocks that Istio gives to ServiceEntries. */
const BLOCK = 0xf0f00000
const IPV6_BLOCK = '2001:2::f0f0:'
const SIZE = 0x10000

/** Gives each ServiceEntry host without an address virtual ones, of both families, that stay the same while the host exists. */
export class AddressAllocator {
  readonly #size: number
  readonly #offsets = new Map<string, number>()
  readonly #taken = new Set<number>()

  /** @param size of the block; its first and its last address are not given out */
  constructor(size = SIZE) {
    this.#size = size
  }

  /**
   * The host's addresses, IPv4 first, which depend on its name as long as no other has them; none when all are given
   * out.
   */
  allocate(host: string): readonly string[] {
    const known = this.#offsets.get(host)
    if (known !== undefined) return addressesAt(known)
    if (this.#taken.size >= this.#size - 2) return []
    let offset = hash(host) % this.#size
    while (offset === 0 || offset === this.#size - 1 || this.#taken.has(offset))
      offset = (offset + 1) % this.#size
    this.#offsets.set(host, offset)
    this.#taken.add(offset)
    return addressesAt(offset)
  }

  /** The host is gone: its addresses may go to another one. */
  release(host: string): void {
    const offset = this.#offsets.get(host)
    if (offset === undefined) return
    this.#offsets.delete(host)
    this.#taken.delete(offset)
  }
}

function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value >>> 0
}

function addressesAt(offset: number): readonly string[] {
  return [format(BLOCK + offset), `${IPV6_BLOCK}${offset.toString(16)}`]
}

function format(address: number): string {
  return [24, 16, 8, 0].map(shift => (address >>> shift) & 255).join('.')
}
