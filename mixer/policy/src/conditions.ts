import { create } from '@bufbuild/protobuf'
import type { Permission, Principal } from '@seine/envoy/envoy/config/rbac/v3/rbac'
import { PermissionSchema, PrincipalSchema } from '@seine/envoy/envoy/config/rbac/v3/rbac'
import { RegexMatcherSchema } from '@seine/envoy/envoy/type/matcher/v3/regex'
import { type StringMatcher, StringMatcherSchema } from '@seine/envoy/envoy/type/matcher/v3/string'

/** Istio's string forms in policies: `exact`, `prefix*`, `*suffix`, and `*` for anything that is there. */
export function stringMatcher(pattern: string, ignoreCase = false): StringMatcher {
  return create(StringMatcherSchema, {
    matchPattern: matchPattern(pattern),
    ...(ignoreCase ? { ignoreCase } : {}),
  })
}

function matchPattern(pattern: string): StringMatcher['matchPattern'] {
  if (pattern === '*') return { case: 'safeRegex', value: create(RegexMatcherSchema, { regex: '.+' }) }
  if (pattern.startsWith('*')) return { case: 'suffix', value: pattern.slice(1) }
  if (pattern.endsWith('*')) return { case: 'prefix', value: pattern.slice(0, -1) }
  return { case: 'exact', value: pattern }
}

/** A principal that holds when any of the given does; never, when none is given. */
export function anyPrincipal(ids: readonly Principal[]): Principal {
  return create(PrincipalSchema, { identifier: { case: 'orIds', value: { ids: [...ids] } } })
}

/** A principal that holds when all of the given do; always, when none is given. */
export function allPrincipals(ids: readonly Principal[]): Principal {
  if (ids.length === 0) return create(PrincipalSchema, { identifier: { case: 'any', value: true } })
  return create(PrincipalSchema, { identifier: { case: 'andIds', value: { ids: [...ids] } } })
}

/** A principal that holds when the given does not. */
export function notPrincipal(id: Principal): Principal {
  return create(PrincipalSchema, { identifier: { case: 'notId', value: id } })
}

/** A permission that holds when any of the given does. */
export function anyPermission(rules: readonly Permission[]): Permission {
  return create(PermissionSchema, { rule: { case: 'orRules', value: { rules: [...rules] } } })
}

/** A permission that holds when all of the given do; always, when none is given. */
export function allPermissions(rules: readonly Permission[]): Permission {
  if (rules.length === 0) return create(PermissionSchema, { rule: { case: 'any', value: true } })
  return create(PermissionSchema, { rule: { case: 'andRules', value: { rules: [...rules] } } })
}

/** A permission that holds when the given does not. */
export function notPermission(rule: Permission): Permission {
  return create(PermissionSchema, { rule: { case: 'notRule', value: rule } })
}

/** The caller's SPIFFE ID, from its certificate. Nobody without a certificate matches. */
export function authenticatedAs(name: StringMatcher): Principal {
  return create(PrincipalSchema, { identifier: { case: 'authenticated', value: { principalName: name } } })
}

/** A regular expression as a string matcher. */
export function regexMatcher(text: string): StringMatcher {
  return create(StringMatcherSchema, { matchPattern: { case: 'safeRegex', value: { regex: text } } })
}

/** `10.0.0.0/8` or a single address as Envoy's range. */
export function cidr(block: string): { addressPrefix: string; prefixLen: number } {
  const [addressPrefix = '', length] = block.split('/')
  return {
    addressPrefix,
    prefixLen: length === undefined ? (addressPrefix.includes(':') ? 128 : 32) : Number(length),
  }
}

/** Text with everything that means something in a regular expression quoted. */
export function quoteRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
