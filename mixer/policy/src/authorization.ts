import { create } from '@bufbuild/protobuf'
import { type AuthorizationPolicy, trustDomainsOf } from '@seine/api'
import { any, type Provenance } from '@seine/envoy'
import { RBAC_Action as Action, type RBAC, RBACSchema } from '@seine/envoy/envoy/config/rbac/v3/rbac'
import { RBACSchema as HttpRbacSchema } from '@seine/envoy/envoy/extensions/filters/http/rbac/v3/rbac'
import { RBACSchema as NetworkRbacSchema } from '@seine/envoy/envoy/extensions/filters/network/rbac/v3/rbac'
import { selects } from '@seine/model'
import type {
  Contribution,
  FilterChainContext,
  HttpFilterInit,
  NetworkFilterInit,
  TrafficPlugin,
} from '@seine/pilot-traffic'
import { needsHttp, rbacPolicy } from './authorization-rules.ts'

/**
 * AuthorizationPolicy at the receiving side. As in Istio: a DENY that matches refuses; with any ALLOW policy
 * for the workload, what none of them matches is refused; without one, all else is allowed.
 */
export const authorizationPlugin: TrafficPlugin = {
  name: 'authorization',
  httpFilters: context =>
    filters(context, true).map(({ rbac, provenance, action }): Contribution<HttpFilterInit> => {
      const config = any(HttpRbacSchema, { rules: rbac, rulesStatPrefix: action })
      return {
        value: { name: 'envoy.filters.http.rbac', configType: { case: 'typedConfig', value: config } },
        provenance,
      }
    }),
  networkFilters: context => {
    if (context.protocol !== 'tcp') return []
    return filters(context, false).map(({ rbac, provenance, action }): Contribution<NetworkFilterInit> => {
      const config = any(NetworkRbacSchema, { rules: rbac, statPrefix: `tcp.${action}` })
      return {
        value: { name: 'envoy.filters.network.rbac', configType: { case: 'typedConfig', value: config } },
        provenance,
      }
    })
  },
}

interface BuiltRbac {
  readonly rbac: RBAC
  readonly action: 'deny' | 'allow'
  readonly provenance: readonly Provenance[]
}

function filters(context: FilterChainContext, http: boolean): BuiltRbac[] {
  if (context.direction === 'outbound') return []
  const policies = policiesFor(context)
  const deny = policies.filter(({ spec }) => spec.action === 'DENY')
  const allow = policies.filter(({ spec }) => spec.action === undefined || spec.action === 'ALLOW')
  return [
    ...(deny.length > 0 ? [build(deny, 'deny', context, http)] : []),
    ...(allow.length > 0 ? [build(allow, 'allow', context, http)] : []),
  ]
}

/** The policies that apply to the workload: of its namespace and of the root namespace. */
function policiesFor({ snapshot, proxy }: FilterChainContext): AuthorizationPolicy[] {
  const scopes = [snapshot.config.rootNamespace, proxy.namespace]
  return [...snapshot.authorizationPolicies.values()]
    .filter(
      ({ metadata, spec }) =>
        scopes.includes(metadata.namespace) && selects(spec.selector?.matchLabels, proxy.labels),
    )
    .sort((a, b) => (name(a) < name(b) ? -1 : 1))
}

function build(
  policies: readonly AuthorizationPolicy[],
  action: 'deny' | 'allow',
  { snapshot }: FilterChainContext,
  http: boolean,
): BuiltRbac {
  const rules: RBAC['policies'] = {}
  const provenance: Provenance[] = []
  for (const policy of policies) {
    const ref = { kind: policy.kind, namespace: policy.metadata.namespace, name: policy.metadata.name }
    provenance.push(ref)
    for (const [index, rule] of (policy.spec.rules ?? []).entries()) {
      // On TCP an ALLOW rule about requests can't be met; a DENY rule holds by what of it can be seen.
      if (!http && action === 'allow' && needsHttp(rule)) continue
      const context = {
        http,
        trustDomains: trustDomainsOf(snapshot.config),
        namespace: policy.metadata.namespace,
      }
      rules[`ns[${ref.namespace}]-policy[${ref.name}]-rule[${index}]`] = rbacPolicy(rule, context)
      provenance.push({ ...ref, path: `spec.rules[${index}]` })
    }
  }
  return {
    rbac: create(RBACSchema, { action: action === 'deny' ? Action.DENY : Action.ALLOW, policies: rules }),
    action,
    provenance,
  }
}

function name({ metadata }: AuthorizationPolicy): string {
  return `${metadata.namespace}/${metadata.name}`
}
