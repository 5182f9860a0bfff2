import { z } from 'zod'

const DURATION = /^(\d+(\.\d+)?(h|ms|m|s|us|ns))+$/
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
  return total
}

/** A duration in Go's notation, as Istio takes it. */
export const durationField = z.string().regex(DURATION, 'must be a duration such as 1s, 250ms or 1h30m')

/** A duration of at least a millisecond. */
export const positiveDuration = durationField.refine(value => durationMs(value) >= 1, 'must be at least 1ms')

/** A TCP port. */
export const portField = z.int().min(1, 'a port is 1 to 65535').max(65535, 'a port is 1 to 65535')

/** A map of label names to values. */
export const labelsField = z.record(z.string(), z.string())

/** Selects workloads whose labels include all of these. */
export const workloadSelectorField = z.strictObject({ matchLabels: labelsField.optional() })

/** Istio's `Percent`, 0 to 100. */
export const percentField = z.strictObject({
  value: z.number().min(0, 'a percentage is 0 to 100').max(100, 'a percentage is 0 to 100'),
})

/** Namespaces a resource is visible in: `.`, `*` or a name. */
export const exportToField = z
  .array(z.string().regex(/^(\.|\*|~|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$/, 'must be ".", "*" or a namespace'))
  .optional()

const RE2_UNSUPPORTED = /\(\?(=|!|<=|<!)|\\[1-9]/

/** A regular expression in RE2's syntax, which Envoy evaluates: no look-around and no back-references. */
export const regexField = z
  .string()
  .min(1)
  .refine(
    value => !RE2_UNSUPPORTED.test(value),
    'Envoy evaluates RE2, which has no look-around and no back-references',
  )
  .refine(isRegex, 'is not a valid regular expression')

function isRegex(value: string): boolean {
  try {
    new RegExp(value.replace(/\(\?[imsU]+\)/g, '').replaceAll('(?P<', '(?<'))
    return true
  } catch {
    return false
  }
}

/** A host name, optionally with a `*` or `*.` prefix, or an IP address. */
export const hostField = z
  .string()
  .regex(
    /^(\*|(\*\.|\*)?[a-zA-Z0-9_]([-a-zA-Z0-9_.]*[a-zA-Z0-9_])?\.?|[0-9a-fA-F:.]+)$/,
    'must be a host name, with "*." at most at its start',
  )

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
  .strictObject({ exact: z.string().optional(), prefix: z.string().optional(), regex: regexField.optional() })
  .superRefine(oneOf(['exact', 'prefix', 'regex']))

export type StringMatch = z.infer<typeof stringMatchField>
export type WorkloadSelector = z.infer<typeof workloadSelectorField>
