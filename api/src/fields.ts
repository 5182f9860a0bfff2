import { z } from 'zod'
import { HEADER_NAME } from './fields/headers.ts'
import { canonicalCidr, canonicalIp } from './ip.ts'
import { re2Problem } from './re2.ts'

const DURATION = /^(\d+(\.\d+)?(h|ms|m|s|us|ns))+$/
/** A hundred years: Envoy refuses durations that its clock can't count. */
const MAX_DURATION_MS = 100 * 365 * 24 * 3_600_000
const UNIT_MS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 0.001,
  ns: 0.000001,
}

/** The length of a duration such as `1h30m`, `1.5s` or `100ms`, in milliseconds. Takes validated input. */
export function durationMs(duration: string): number {
  let total = 0
  for (const [, amount, unit] of duration.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)/g)) {
    total += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0)
  }
  // To the nanosecond, so that 1.1s is 1100 and not what binary fractions make of it.
  return Math.round(total * 1e6) / 1e6
}

// The titles below are what the reference documentation calls the types.

const NO_DURATION = 'must be a duration such as 1s, 250ms or 1h30m'

/** A duration in Go's notation, as Istio takes it: whole milliseconds. */
export const durationField = z
  .string({ error: ({ input }) => (input === undefined ? undefined : NO_DURATION) })
  .regex(DURATION, NO_DURATION)
  .refine(value => Number.isInteger(durationMs(value)), 'must be whole milliseconds')
  .refine(value => durationMs(value) <= MAX_DURATION_MS, 'must be at most a hundred years')
  .meta({ title: 'duration' })

/** A duration of at least a millisecond. */
export const positiveDuration = durationField.refine(value => durationMs(value) >= 1, 'must be at least 1ms')

/** A duration that the system counts in seconds. */
export const secondsDuration = durationField.refine(value => durationMs(value) >= 1000, 'must be at least 1s')

/** A whole number that 32 bits hold. */
export const countField = z.int().min(0, 'must be 0 or more').max(0xffffffff, 'must be below 4294967296')

/** A TCP port. */
export const portField = z
  .int()
  .min(1, 'a port is 1 to 65535')
  .max(65535, 'a port is 1 to 65535')
  .meta({ title: 'port' })

/** Istio's `Percent`, 0 to 100. */
export const percentField = z.strictObject({
  value: z
    .number()
    .min(0, 'a percentage is 0 to 100')
    .max(100, 'a percentage is 0 to 100')
    .default(0)
    .describe('0 to 100, with up to four decimals'),
})

/** What is wrong with a regular expression; undefined when nothing is. */
export function regexProblem(pattern: string): string | undefined {
  const problem = pattern === '' ? 'it is empty' : re2Problem(pattern)
  return problem && `is no regular expression of RE2: ${problem}`
}

/** Reports what a function finds wrong with a text. */
export function checkedBy(problem: (text: string) => string | undefined) {
  return (text: string, context: z.RefinementCtx): void => {
    const message = problem(text)
    if (message) context.addIssue({ code: 'custom', message })
  }
}

/** A regular expression in RE2's syntax, which Envoy evaluates: no look-around and no back-references. */
export const regexField = z
  .string()
  .superRefine(checkedBy(regexProblem))
  .meta({ title: 'regular expression' })

const HOST = /^(\*\.)?([a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\.?$/i

/** A host name, `*` or one that begins with `*.`, or an IP address. */
export const hostField = z
  .string()
  .max(253, 'a host name is at most 253 characters long')
  .refine(
    host => host === '*' || canonicalIp(host) !== undefined || (HOST.test(host) && !/^[\d.]+$/.test(host)),
    'must be a host name, which may begin with "*.", or an IP address',
  )

/** The name of a namespace, as Kubernetes has it. */
export const namespaceField = z
  .string()
  .max(63, 'a namespace is at most 63 characters long')
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'a namespace is lower-case letters, digits and "-"')

/** An IP address. */
export const ipField = z.string().refine(text => canonicalIp(text) !== undefined, 'must be an IP address')

/** An IP address, or a range of them such as `10.0.0.0/8`. */
export const addressRangeField = z
  .string()
  .refine(
    text => (canonicalIp(text) ?? canonicalCidr(text)) !== undefined,
    'must be an IP address or a range such as 10.0.0.0/8',
  )

/** What is said of a text that is no {@link HEADER_NAME}. */
export const NO_HEADER_NAME = 'must be the name of a header'

/** The name of a header. */
export const headerNameField = z.string().regex(HEADER_NAME, NO_HEADER_NAME)

/** Requires that at most one (or, with `required`, exactly one) of the named fields is set. */
export function oneOf(
  names: readonly string[],
  required = false,
): (value: object, context: z.RefinementCtx) => void {
  return (value, context) => {
    const set = names.filter(name => (value as Record<string, unknown>)[name] !== undefined)
    const list = names.join(', ')
    if (set.length > 1)
      context.addIssue({ code: 'custom', path: [set[1] ?? ''], message: `only one of ${list} can be set` })
    if (required && set.length === 0)
      context.addIssue({ code: 'custom', path: [], message: `one of ${list} must be set` })
  }
}

/** Istio's `StringMatch`. */
export const stringMatchField = z
  .strictObject({
    exact: z.string().optional().describe('The whole text'),
    prefix: z.string().min(1, 'must not be empty: leave it out instead').optional().describe('How it begins'),
    regex: regexField.optional().describe("The whole text, by a regular expression in RE2's syntax"),
  })
  .superRefine(oneOf(['exact', 'prefix', 'regex']))

/** A match of a path: every path begins with the empty prefix. */
export const pathMatchField = z
  .strictObject({
    exact: z.string().optional().describe('The whole path'),
    prefix: z.string().optional().describe('How it begins'),
    regex: regexField.optional().describe("The whole path, by a regular expression in RE2's syntax"),
  })
  .superRefine(oneOf(['exact', 'prefix', 'regex'], true))

/** Text that may stand in a header: no control characters that end one. */
export const headerTextField = z
  .string()
  .min(1, 'must not be empty: leave it out instead')
  .regex(/^[^\u0000\r\n]*$/, 'must be one line')

/** A string match that has to say what it matches. */
export const requiredStringMatchField = stringMatchField.superRefine(
  oneOf(['exact', 'prefix', 'regex'], true),
)

export type StringMatch = z.infer<typeof stringMatchField>
