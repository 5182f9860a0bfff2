import { z } from 'zod'

/**
 * A setting of Istio's that says what happens here anyway: it may be written down, and no other value of it.
 *
 * @param reason why there is no other, which is told to whoever writes one.
 */
export function fixed<const T extends string | number | boolean>(value: T, reason: string) {
  return z
    .custom<T>(given => given === value, { error: `must be ${value}: ${reason}` })
    .meta({ title: `\`${value}\`` })
    .optional()
    .describe(`May be written down, and is so anyway: ${reason}`)
}

/** A list of Istio's of which nothing can be in force here: it may be written down without entries. */
export function empty(reason: string) {
  return z
    .custom<readonly never[]>(given => Array.isArray(given) && given.length === 0, { error: reason })
    .meta({ title: 'empty list' })
    .optional()
    .describe(`May be written down without entries: ${reason}`)
}
