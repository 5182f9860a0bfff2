import type { ResponseClass } from './api-types.ts'

/** What a figure counts. */
export type Column =
  /** Requests, by what they came to. */
  | { readonly kind: 'response'; readonly class: ResponseClass }
  /** Requests that took at most `bound` ms and longer than the next lower bound. */
  | { readonly kind: 'bucket'; readonly bound: number }
  /** Requests and connections that Envoy put a flag on, such as UH. */
  | { readonly kind: 'flag'; readonly flag: string }
  /**
   * TCP connections that reached their destination; such that ended; that did not reach it; that ended in a
   * failure, before or after.
   */
  | { readonly kind: 'opened' | 'closed' | 'unconnected' | 'broken' }
  /** TCP bytes: towards the caller; from it. Counted when a connection ends. */
  | { readonly kind: 'sent' | 'received' }

/** What flags and buckets beyond the limit are counted as. */
const OTHER: Column = { kind: 'flag', flag: 'other' }

/** More columns than a mesh's flags and buckets make: bounds what odd labels can make the hub hold. */
export const MAX_COLUMNS = 512

/** Numbers for columns, so that figures can be kept in arrays. A number once given stays. */
export class Columns {
  readonly #numbers = new Map<string, number>()
  readonly #columns: Column[] = []

  constructor() {
    this.numberOf(OTHER)
  }

  get size(): number {
    return this.#columns.length
  }

  numberOf(column: Column): number {
    const key = keyOf(column)
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    if (this.#columns.length >= MAX_COLUMNS) return 0
    this.#numbers.set(key, this.#columns.length)
    return this.#columns.push(column) - 1
  }

  /** The column that a number stands for. */
  at(number: number): Column {
    return this.#columns[number] ?? OTHER
  }
}

function keyOf(column: Column): string {
  switch (column.kind) {
    case 'response':
      return `response ${column.class}`
    case 'bucket':
      return `bucket ${column.bound}`
    case 'flag':
      return `flag ${column.flag}`
    default:
      return column.kind
  }
}
