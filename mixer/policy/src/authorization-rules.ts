import { create } from '@bufbuild/protobuf'
import type {
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationRule,
  AuthorizationSource,
} from '@seine/api'
import {
  type Permission,
  PermissionSchema,
  type Policy,
  PolicySchema,
  type Principal,
  PrincipalSchema,
} from '@seine/envoy/envoy/config/rbac/v3/rbac'
import {
  allPermissions,
  allPrincipals,
  anyPermission,
  anyPrincipal,
  authenticatedAs,
  cidr,
  notPermission,
  notPrincipal,
  quoteRegex,
  regexMatcher,
  stringMatcher,
} from './conditions.ts'

/** What a rule is translated for. */
export interface RuleContext {
  readonly http: boolean
  /** The mesh's own first, then its aliases. */
  readonly trustDomains: readonly string[]
  /** The policy's namespace: completes a bare service account. */
  readonly namespace: string
}

/** Whether a rule asks for something that only requests have. */
export function needsHttp(rule: AuthorizationRule): boolean {
  const operations = (rule.to ?? []).some(({ operation: one }) =>
    [one.hosts, one.notHosts, one.methods, one.notMethods, one.paths, one.notPaths].some(Boolean),
  )
  return operations || (rule.when ?? []).some(({ key }) => key.startsWith('request.'))
}

/** One rule of an AuthorizationPolicy as Envoy's: any of `from`, any of `to`, all of `when`. */
export function rbacPolicy(rule: AuthorizationRule, context: RuleContext): Policy {
  const conditions = (rule.when ?? []).filter(({ key }) => context.http || !key.startsWith('request.'))
  const from = rule.from
    ? [anyPrincipal(rule.from.map(({ source }) => sourcePrincipal(source, context)))]
    : []
  const to = rule.to
    ? [anyPermission(rule.to.map(({ operation }) => operationPermission(operation, context)))]
    : []
  const principals = conditions
    .filter(isPrincipal)
    .map(condition =>
      both(
        condition,
        (key, values) => principalsFor(key, values, context),
        anyPrincipal,
        notPrincipal,
        allPrincipals,
      ),
    )
  const permissions = conditions
    .filter(condition => !isPrincipal(condition))
    .map(condition => both(condition, permissionsFor, anyPermission, notPermission, allPermissions))
  return create(PolicySchema, {
    principals: [allPrincipals([...from, ...principals])],
    permissions: [allPermissions([...to, ...permissions])],
  })
}

function both<T>(
  { key, values, notValues }: AuthorizationCondition,
  make: (key: string, values: readonly string[]) => T[],
  any: (list: readonly T[]) => T,
  not: (one: T) => T,
  all: (list: readonly T[]) => T,
): T {
  const parts: T[] = []
  if (values) parts.push(any(make(key, values)))
  if (notValues) parts.push(not(any(make(key, notValues))))
  return all(parts)
}

function isPrincipal({ key }: AuthorizationCondition): boolean {
  return key.startsWith('source.') || key.startsWith('request.headers') || key === 'remote.ip'
}

function principalsFor(key: string, values: readonly string[], context: RuleContext): Principal[] {
  if (key === 'source.principal') return values.flatMap(value => asAnyOf(value, context))
  if (key === 'source.namespace') return values.map(value => authenticatedAs(namespaceMatcher(value)))
  if (key === 'source.ip')
    return values.map(value =>
      create(PrincipalSchema, { identifier: { case: 'directRemoteIp', value: cidr(value) } }),
    )
  if (key === 'remote.ip')
    return values.map(value =>
      create(PrincipalSchema, { identifier: { case: 'remoteIp', value: cidr(value) } }),
    )
  const name = key.slice('request.headers['.length, -1)
  return values.map(value =>
    create(PrincipalSchema, {
      identifier: {
        case: 'header',
        value: { name, headerMatchSpecifier: { case: 'stringMatch', value: stringMatcher(value) } },
      },
    }),
  )
}

function permissionsFor(key: string, values: readonly string[]): Permission[] {
  if (key === 'destination.port')
    return values.map(value =>
      create(PermissionSchema, { rule: { case: 'destinationPort', value: Number(value) } }),
    )
  if (key === 'destination.ip')
    return values.map(value =>
      create(PermissionSchema, { rule: { case: 'destinationIp', value: cidr(value) } }),
    )
  return values.map(value =>
    create(PermissionSchema, { rule: { case: 'requestedServerName', value: stringMatcher(value) } }),
  )
}

function sourcePrincipal(source: AuthorizationSource, context: RuleContext): Principal {
  const parts: Principal[] = []
  const add = (
    values: readonly string[] | undefined,
    notValues: readonly string[] | undefined,
    make: (value: string) => Principal | Principal[],
  ) => {
    if (values) parts.push(anyPrincipal(values.flatMap(make)))
    if (notValues) parts.push(notPrincipal(anyPrincipal(notValues.flatMap(make))))
  }
  add(source.principals, source.notPrincipals, value => asAnyOf(value, context))
  add(source.namespaces, source.notNamespaces, value => authenticatedAs(namespaceMatcher(value)))
  add(source.serviceAccounts, source.notServiceAccounts, value =>
    accountMatchers(value, context).map(authenticatedAs),
  )
  add(source.ipBlocks, source.notIpBlocks, value =>
    create(PrincipalSchema, { identifier: { case: 'directRemoteIp', value: cidr(value) } }),
  )
  add(source.remoteIpBlocks, source.notRemoteIpBlocks, value =>
    create(PrincipalSchema, { identifier: { case: 'remoteIp', value: cidr(value) } }),
  )
  return allPrincipals(parts)
}

function operationPermission(operation: AuthorizationOperation, { http }: RuleContext): Permission {
  const parts: Permission[] = []
  const add = (
    values: readonly string[] | undefined,
    notValues: readonly string[] | undefined,
    make: (value: string) => Permission,
  ) => {
    if (values) parts.push(anyPermission(values.map(make)))
    if (notValues) parts.push(notPermission(anyPermission(notValues.map(make))))
  }
  add(operation.ports, operation.notPorts, value =>
    create(PermissionSchema, { rule: { case: 'destinationPort', value: Number(value) } }),
  )
  if (!http) return allPermissions(parts)
  add(operation.hosts, operation.notHosts, value => headerPermission(':authority', value, true))
  add(operation.methods, operation.notMethods, value => headerPermission(':method', value, false))
  add(operation.paths, operation.notPaths, pathPermission)
  return allPermissions(parts)
}

function headerPermission(name: string, value: string, ignoreCase: boolean): Permission {
  return create(PermissionSchema, {
    rule: {
      case: 'header',
      value: { name, headerMatchSpecifier: { case: 'stringMatch', value: stringMatcher(value, ignoreCase) } },
    },
  })
}

/** Paths are compared without their query. `{*}` stands for one segment and `{**}` for any number, as in Istio. */
function pathPermission(value: string): Permission {
  const template = /\{\*\*?\}/.test(value)
  const matcher = template
    ? regexMatcher(
        value
          .split(/(\{\*\*\}|\{\*\})/)
          .map(part => (part === '{**}' ? '.*' : part === '{*}' ? '[^/]+' : quoteRegex(part)))
          .join(''),
      )
    : stringMatcher(value)
  return create(PermissionSchema, {
    rule: { case: 'urlPath', value: { rule: { case: 'path', value: matcher } } },
  })
}

/** A principal, and the same of each trust domain that is taken for its own. */
function asAnyOf(principal: string, { trustDomains }: RuleContext): Principal[] {
  return inTrustDomains(principal.replace(/^spiffe:\/\//, ''), trustDomains).map(one =>
    authenticatedAs(spiffe(one)),
  )
}

/**
 * A principal in each of the mesh's trust domains, where it names one of them, or `cluster.local`, which stands for the
 * mesh's own whatever that is called, as in Istio. Of a domain with a wildcard it stays as it is for those that fit.
 */
function inTrustDomains(principal: string, trustDomains: readonly string[]): readonly string[] {
  const [domain = '', ...path] = principal.split('/')
  if (path.length === 0 || domain === '*') return [principal]
  const fits = (own: string) => (domain.startsWith('*') ? own.endsWith(domain.slice(1)) : domain === own)
  if (domain !== POINTER && !trustDomains.some(fits)) return [principal]
  return [...new Set(trustDomains.map(own => (fits(own) ? principal : [own, ...path].join('/'))))]
}

/** What policies may call the mesh's own trust domain. */
const POINTER = 'cluster.local'

/** `cluster.local/ns/default/sa/web` as its SPIFFE ID, wildcards included. */
function spiffe(principal: string) {
  return stringMatcher(principal.startsWith('*') ? principal : `spiffe://${principal}`)
}

function namespaceMatcher(namespace: string) {
  const name = namespace.split('*').map(quoteRegex).join('[^/]*')
  return regexMatcher(`spiffe://[^/]+/ns/${name}/sa/.+`)
}

function accountMatchers(account: string, { trustDomains, namespace }: RuleContext) {
  const [first = '', second] = account.split('/')
  const [owner, name] = second === undefined ? [namespace, first] : [first, second]
  return trustDomains.map(domain => stringMatcher(`spiffe://${domain}/ns/${owner}/sa/${name}`))
}
