import { z } from 'zod'

const SUBDOMAIN = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'

/** An API group; empty for Kubernetes' core group. */
export const groupField = z
  .string()
  .max(253)
  .regex(new RegExp(`^(${SUBDOMAIN})?$`), 'must be an API group')

/** The kind of an object. */
export const kindField = z
  .string()
  .min(1, 'is needed')
  .max(63)
  .regex(/^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/, 'must be a kind')

/** The name of an object. */
export const objectNameField = z.string().min(1, 'is needed').max(253)

/** A namespace. */
export const namespaceField = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be a namespace: lower-case letters, digits and "-"')

/** The name of a listener or of a rule. */
export const sectionNameField = z
  .string()
  .min(1)
  .max(253)
  .regex(new RegExp(`^${SUBDOMAIN}$`), 'must be a name of lower-case letters, digits, "-" and "."')

/** A host name without wildcards. */
export const preciseHostField = z
  .string()
  .min(1)
  .max(253)
  .regex(new RegExp(`^${SUBDOMAIN}$`), 'must be a host name in lower case, without wildcards')

/** A host name whose first part may be a wildcard. */
export const hostnameField = z
  .string()
  .min(1)
  .max(253)
  .regex(
    new RegExp(`^(\\*\\.)?${SUBDOMAIN}$`),
    'must be a host name in lower case, with "*." at most at its start',
  )

/** A port. */
export const gatewayPortField = z.int().min(1, 'a port is 1 to 65535').max(65535, 'a port is 1 to 65535')

/** A duration in Gateway API's notation: up to four numbers of up to five digits, each with h, m, s or ms. */
export const gatewayDurationField = z
  .string()
  .regex(/^([0-9]{1,5}(h|m|s|ms)){1,4}$/, 'must be a duration such as 1s, 250ms or 1h30m')

/** A domain and a path, such as `example.com/name`. */
export const DOMAIN_PREFIXED = new RegExp(`^${SUBDOMAIN}/[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+$`)

/** The name of a header or of a query parameter. */
export const tokenField = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/, 'holds characters that are not allowed in a name')

/** A secret or a ConfigMap with a certificate. */
export const secretRefField = z.strictObject({
  group: groupField.default(''),
  kind: kindField.default('Secret'),
  name: objectNameField,
  namespace: namespaceField.optional(),
})

/** Settings that one implementation understands. */
export const optionsField = z
  .record(z.string(), z.string().max(4096))
  .refine(options => Object.keys(options).length <= 16, 'has at most 16 entries')

/** Kubernetes' `LabelSelector`. */
export const labelSelectorField = z.strictObject({
  matchLabels: z.record(z.string(), z.string()).optional(),
  matchExpressions: z
    .array(
      z
        .strictObject({
          key: z.string().min(1, 'is needed'),
          operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
          values: z.array(z.string()).optional(),
        })
        .refine(({ operator, values }) => operator.endsWith('In') === !!values?.length, {
          path: ['values'],
          message: 'go with the operators In and NotIn, which need them',
        }),
    )
    .optional(),
})

export type LabelSelector = z.infer<typeof labelSelectorField>

/** Reports every item of a list that is the same as an earlier one. */
export function unique<Item>(
  key: (item: Item) => string | undefined,
  message: (item: Item) => string,
  field: readonly string[] = [],
) {
  return (items: readonly Item[], context: z.RefinementCtx): void => {
    const keys = items.map(key)
    for (const [index, item] of items.entries())
      if (keys[index] !== undefined && keys.indexOf(keys[index]) < index)
        context.addIssue({ code: 'custom', path: [index, ...field], message: message(item) })
  }
}
