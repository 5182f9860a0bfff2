import { z } from 'zod'
import { attachmentFields, checkAttachment } from '../fields/selectors.ts'
import { checkedBy, oneOf, positiveDuration } from '../fields.ts'
import type { Resource } from '../resource.ts'
import { type Rules, warnEmptySelector } from '../rules.ts'

const text = z.string().min(1, 'must not be empty')

const jwksUri = z
  .string()
  .min(1, 'must not be empty')
  .max(2048)
  .refine(uri => /^https?:\/\/[^/?#\s]+/.test(uri), 'must begin with http:// or https:// and name a host')

/** The keys of a JSON Web Key Set, or what is wrong with it. */
function readKeys(jwks: string): readonly Readonly<Record<string, unknown>>[] | string {
  let set: unknown
  try {
    set = JSON.parse(jwks)
  } catch {
    return 'must be a JSON Web Key Set, and is no JSON'
  }
  const keys = typeof set === 'object' && set !== null ? ('keys' in set ? set.keys : [set]) : undefined
  if (!Array.isArray(keys)) return 'must be a JSON Web Key Set: an object with "keys"'
  const broken = keys.findIndex(key => typeof key?.kty !== 'string')
  return broken < 0 ? keys : `key ${broken} says no type ("kty")`
}

const jwks = z.string().superRefine(
  checkedBy(value => {
    const keys = value === '' ? [] : readKeys(value)
    return typeof keys === 'string' ? keys : undefined
  }),
)

const jwtRule = z
  .strictObject({
    issuer: z.string().optional(),
    audiences: z.array(text).optional(),
    jwksUri: jwksUri.optional(),
    jwks_uri: jwksUri.optional(),
    jwks: jwks.optional(),
    fromHeaders: z.array(z.strictObject({ name: text, prefix: z.string().optional() })).optional(),
    fromParams: z.array(text).optional(),
    fromCookies: z.array(text).optional(),
    outputPayloadToHeader: z.string().optional(),
    outputClaimToHeaders: z
      .array(
        z.strictObject({ header: z.string().regex(/^[-_A-Za-z0-9]+$/, 'is no header name'), claim: text }),
      )
      .optional(),
    forwardOriginalToken: z.boolean().optional(),
    timeout: positiveDuration.optional(),
    spaceDelimitedClaims: z.array(text).max(64).optional(),
  })
  .superRefine(oneOf(['jwksUri', 'jwks_uri', 'jwks']))
  .refine(rule => rule.issuer || rule.jwksUri || rule.jwks_uri, 'one of issuer, jwksUri must be set')

/** Istio `RequestAuthentication`: the JWTs that a workload takes. */
export const requestAuthenticationSpec = z
  .strictObject({ ...attachmentFields, jwtRules: z.array(jwtRule).max(4096).optional() })
  .superRefine(checkAttachment)

export type RequestAuthenticationSpec = z.infer<typeof requestAuthenticationSpec>
export type RequestAuthentication = Resource<'RequestAuthentication', RequestAuthenticationSpec>
export type JwtRule = z.infer<typeof jwtRule>

/** What Istio's validation warns of in a RequestAuthentication. */
export const requestAuthenticationRules: Rules<RequestAuthenticationSpec> = (spec, findings) => {
  if (spec.selector) warnEmptySelector(spec.selector.matchLabels, ['selector'], findings)
  for (const [index, rule] of (spec.jwtRules ?? []).entries()) {
    const keys = rule.jwks ? readKeys(rule.jwks) : []
    if (typeof keys === 'string') continue
    for (const [at, key] of keys.entries())
      if (key['d'] !== undefined || key['kty'] === 'oct')
        findings.warn(
          ['jwtRules', index, 'jwks'],
          `key ${at} is private: anyone who reads this can sign tokens; only the public key is needed`,
        )
  }
}
