/** What a query may look at. Everything that it reads is noted: when that changes, it is asked again. */
export interface Reader {
  /** What was put in under a key. */
  input<T>(key: string): T | undefined
  /** The answer of another query. */
  ask<T>(query: Query<T>, key: string): T
}

/** A pure function of what it reads, for each key. Its answers are plain data, compared by content. */
export interface Query<T> {
  readonly name: string
  compute(key: string, read: Reader): T
}

interface Cell {
  readonly id: string
  value: unknown
  /** The value at the end of the last round. */
  settled: unknown
  /** What the value was made from, and what each was then. */
  readonly dependencies: Map<Cell, unknown>
  readonly dependents: Set<Cell>
  readonly compute: (() => unknown) | undefined
  /** Whether something that it depends on may have changed. */
  stale: boolean
}

/**
 * Answers of queries, each kept until something that it read has changed: then, and only if that came out
 * different, it is made again. An answer that comes out equal is the same object as before, and goes no further.
 */
export class Incremental {
  readonly #cells = new Map<string, Cell>()
  readonly #touched = new Set<Cell>()
  /** The answers that were made since {@link settle}, as `query key`: tests assert on it. */
  #computed: string[] = []

  /** Puts an input in; undefined takes it out. */
  put(key: string, value: unknown): void {
    const cell = this.#inputCell(key)
    if (equal(cell.value, value)) return
    cell.value = value
    this.#touch(cell)
  }

  /** The answer of a query. */
  ask<T>(query: Query<T>, key: string): T {
    return this.#current(this.#queryCell(query, key)) as T
  }

  /** The keys for which answers of a query may have changed since {@link settle}. */
  touched(query: Query<unknown>): string[] {
    const prefix = `${query.name} `
    return [...this.#touched].flatMap(({ id }) => (id.startsWith(prefix) ? [id.slice(prefix.length)] : []))
  }

  /** The answers of a query that are other ones than at the end of the last round. */
  changed<T>(query: Query<T>): Map<string, T> {
    const found = new Map<string, T>()
    for (const key of this.touched(query)) {
      const cell = this.#queryCell(query, key)
      if (this.#current(cell) !== cell.settled) found.set(key, cell.value as T)
    }
    return found
  }

  /** Ends a round of changes. @returns what was made in it. */
  settle(): readonly string[] {
    for (const cell of this.#touched) cell.settled = cell.value
    this.#touched.clear()
    const computed = this.#computed
    this.#computed = []
    return computed
  }

  /** Drops an answer, and those that only it had asked for. */
  forget(query: Query<unknown>, key: string): void {
    const cell = this.#cells.get(`${query.name} ${key}`)
    if (cell) this.#drop(cell)
  }

  #drop(cell: Cell): void {
    if (cell.dependents.size > 0 || (!cell.compute && cell.value !== undefined)) return
    this.#cells.delete(cell.id)
    this.#touched.delete(cell)
    for (const dependency of cell.dependencies.keys()) {
      dependency.dependents.delete(cell)
      this.#drop(dependency)
    }
  }

  #touch(cell: Cell): void {
    for (const dependent of cell.dependents) {
      if (dependent.stale) continue
      dependent.stale = true
      this.#touched.add(dependent)
      this.#touch(dependent)
    }
  }

  #current(cell: Cell): unknown {
    if (!cell.stale) return cell.value
    const isNew = cell.dependencies.size === 0
    const changed = isNew || [...cell.dependencies].some(([one, seen]) => this.#current(one) !== seen)
    cell.stale = false
    if (!changed || !cell.compute) return cell.value
    for (const dependency of cell.dependencies.keys()) dependency.dependents.delete(cell)
    cell.dependencies.clear()
    this.#computed.push(cell.id)
    const value = cell.compute()
    if (!equal(cell.value, value)) cell.value = value
    return cell.value
  }

  #inputCell(key: string): Cell {
    const id = `input ${key}`
    const known = this.#cells.get(id)
    if (known) return known
    const cell: Cell = {
      id,
      value: undefined,
      settled: undefined,
      dependencies: new Map(),
      dependents: new Set(),
      compute: undefined,
      stale: false,
    }
    this.#cells.set(id, cell)
    return cell
  }

  #queryCell<T>(query: Query<T>, key: string): Cell {
    const id = `${query.name} ${key}`
    const known = this.#cells.get(id)
    if (known) return known
    const read: Reader = {
      input: <V>(name: string) => this.#note(cell, this.#inputCell(name)) as V | undefined,
      ask: <V>(other: Query<V>, name: string) => this.#note(cell, this.#queryCell(other, name)) as V,
    }
    const cell: Cell = {
      id,
      value: undefined,
      settled: undefined,
      dependencies: new Map(),
      dependents: new Set(),
      compute: () => query.compute(key, read),
      stale: true,
    }
    this.#cells.set(id, cell)
    this.#touched.add(cell)
    return cell
  }

  #note(reader: Cell, cell: Cell): unknown {
    const value = this.#current(cell)
    reader.dependencies.set(cell, value)
    cell.dependents.add(reader)
    return value
  }
}

/** Whether two values of plain data are equal; functions and the like are by identity. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b))
    return (
      Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((one, at) => equal(one, b[at]))
    )
  const [left, right] = [Object.entries(a), b as Readonly<Record<string, unknown>>]
  return (
    left.length === Object.keys(right).length &&
    left.every(([key, value]) => key in right && equal(value, right[key]))
  )
}
