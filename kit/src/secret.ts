import { inspect } from 'node:util'

const REDACTED = '[redacted]'

/**
 * Holds a private key or a token so that it can't be printed by accident: string conversion, JSON and
 * `console.log` show a placeholder. Only {@link Secret.reveal} gives the value.
 */
export class Secret<T = string> {
  readonly #value: T

  constructor(value: T) {
    this.#value = value
  }

  /** The value itself. Call it only where the value is used. */
  reveal(): T {
    return this.#value
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}
