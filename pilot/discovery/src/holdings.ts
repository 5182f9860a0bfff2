import { shortTypeName } from '@seine/envoy'

/**
 * A number for each name that any client holds, so that what a client holds is an array and not a map of its
 * own: with many clients of many resources that is most of the memory, and every look-up goes to the same
 * map. Numbers of names that nobody holds are given out again.
 */
export class NameNumbers {
  readonly #numbers = new Map<string, number>()
  readonly #names: (string | undefined)[] = []
  readonly #holders: number[] = []
  readonly #free: number[] = []

  /** How many names somebody holds. */
  get size(): number {
    return this.#numbers.size
  }

  of(name: string): number | undefined {
    return this.#numbers.get(name)
  }

  nameOf(number: number): string | undefined {
    return this.#names[number]
  }

  /** One more holds the name. @returns its number. */
  retain(name: string): number {
    const known = this.#numbers.get(name)
    const number = known ?? this.#free.pop() ?? this.#names.length
    if (known === undefined) {
      this.#numbers.set(name, number)
      this.#names[number] = name
      this.#holders[number] = 0
    }
    this.#holders[number] = (this.#holders[number] ?? 0) + 1
    return number
  }

  /** One less holds the name. */
  release(number: number): void {
    const left = (this.#holders[number] ?? 0) - 1
    this.#holders[number] = left
    const name = this.#names[number]
    if (left > 0 || name === undefined) return
    this.#numbers.delete(name)
    this.#names[number] = undefined
    this.#free.push(number)
  }
}

/** The numbers of one server, for each type of resource. Types that it does not know share theirs. */
export class HeldNames {
  readonly #byType = new Map(Object.keys(shortTypeName).map(type => [type, new NameNumbers()]))
  readonly #others = new NameNumbers()

  of(type: string): NameNumbers {
    return this.#byType.get(type) ?? this.#others
  }
}

/** What one client holds: a value by name. Behaves as a map; call {@link clear} when the client is gone. */
export class Holdings<V extends string | true> {
  readonly #numbers: NameNumbers
  readonly #values: (V | undefined)[] = []
  #size = 0

  constructor(numbers: NameNumbers) {
    this.#numbers = numbers
  }

  get size(): number {
    return this.#size
  }

  get(name: string): V | undefined {
    const number = this.#numbers.of(name)
    return number === undefined ? undefined : this.#values[number]
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }

  /** @returns whether it did not hold the name before. */
  set(name: string, value: V): boolean {
    const number = this.#numbers.of(name)
    if (number !== undefined && this.#values[number] !== undefined) {
      this.#values[number] = value
      return false
    }
    const taken = this.#numbers.retain(name)
    // Filled without gaps, as an array with them takes more memory.
    while (this.#values.length < taken) this.#values.push(undefined)
    this.#values[taken] = value
    this.#size++
    return true
  }

  /** @returns whether it held the name. */
  delete(name: string): boolean {
    const number = this.#numbers.of(name)
    if (number === undefined || this.#values[number] === undefined) return false
    this.#values[number] = undefined
    this.#size--
    this.#numbers.release(number)
    return true
  }

  *keys(): Iterable<string> {
    for (let number = 0; number < this.#values.length; number++) {
      const name = this.#values[number] === undefined ? undefined : this.#numbers.nameOf(number)
      if (name !== undefined) yield name
    }
  }

  clear(): void {
    for (let number = 0; number < this.#values.length; number++)
      if (this.#values[number] !== undefined) this.#numbers.release(number)
    this.#values.length = 0
    this.#size = 0
  }
}
