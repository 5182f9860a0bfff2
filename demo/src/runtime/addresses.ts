import { err, ok, type Result } from '@seine/kit'

/** The pods' network: one flat bridge, its gateway the host's side, where the control plane listens. */
export const POD_NETWORK = { prefix: '10.77', bits: 16, gateway: '10.77.0.1', bridge: 'seine0' } as const

/** The network of pods that have an IPv6 address too. They reach each other by it, and the control plane by IPv4. */
const IPV6 = { prefix: 'fd77::', bits: 64 } as const

/** The IPv6 address of the pod with an IPv4 address, with the length of its network's prefix: `fd77::a/64`. */
export function ipv6Of(address: string): { readonly ip: string; readonly bits: number } {
  return { ip: `${IPV6.prefix}${(numberOf(address) ?? 0).toString(16)}`, bits: IPV6.bits }
}

const FIRST = 10
const LAST = 0xfffe

/** Hands out pod addresses: the lowest that is free, or a fixed one that a manifest asks for. */
export class AddressPool {
  readonly #taken = new Set<number>()
  /** No address below this one is free. */
  #lowest = FIRST
  /** Addresses that manifests ask for, so that no other pod gets them first. */
  readonly #reserved: ReadonlySet<number>

  constructor(reserved: readonly string[] = []) {
    this.#reserved = new Set(reserved.map(numberOf).filter(number => number !== undefined))
  }

  allocate(fixed?: string): Result<string, string> {
    if (fixed !== undefined) return this.#allocateFixed(fixed)
    for (let number = this.#lowest; number <= LAST; number += 1) {
      if (this.#taken.has(number) || this.#reserved.has(number)) continue
      this.#taken.add(number)
      this.#lowest = number + 1
      return ok(addressOf(number))
    }
    this.#lowest = LAST + 1
    return err(`the pod network ${POD_NETWORK.prefix}.0.0/${POD_NETWORK.bits} is full`)
  }

  release(address: string): void {
    const number = numberOf(address)
    if (number === undefined) return
    this.#taken.delete(number)
    this.#lowest = Math.min(this.#lowest, number)
  }

  #allocateFixed(address: string): Result<string, string> {
    const number = numberOf(address)
    if (number === undefined)
      return err(
        `${address} is not in ${POD_NETWORK.prefix}.0.0/${POD_NETWORK.bits} from ${addressOf(FIRST)} on`,
      )
    if (this.#taken.has(number)) return err(`${address} is taken by another pod`)
    this.#taken.add(number)
    return ok(address)
  }
}

function addressOf(number: number): string {
  return `${POD_NETWORK.prefix}.${number >> 8}.${number & 0xff}`
}

function numberOf(address: string): number | undefined {
  const match = /^10\.77\.(\d{1,3})\.(\d{1,3})$/.exec(address)
  if (match === null) return undefined
  const [high, low] = [Number(match[1]), Number(match[2])]
  const number = (high << 8) | low
  return high > 255 || low > 255 || number < FIRST || number > LAST ? undefined : number
}
