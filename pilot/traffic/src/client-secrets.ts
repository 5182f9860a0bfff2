import type { ClientTlsSettings, DestinationRule, TrafficPolicy } from '@seine/api'
import { type ChangeSet, exportScopes, type MeshSnapshot, selects, visibleIn } from '@seine/model'
import { AUTHORITY_SUFFIX, authoritySecret, credentialSecret } from './listeners/server-tls.ts'
import type { Proxy } from './proxy.ts'
import { sidecarOf } from './sidecar-of.ts'

/** The names, as SDS has them, of the secrets with which a client proves who it is, and by which it checks servers. */
export interface ClientSecrets {
  /** Undefined where no certificate of the client is asked for. */
  readonly certificate: string | undefined
  /** Undefined where any server is trusted. */
  readonly authority: string | undefined
}

/** The secrets of TLS settings that name a credential; undefined for others. */
export function clientSecrets({
  mode,
  credentialName,
  insecureSkipVerify,
}: ClientTlsSettings): ClientSecrets | undefined {
  if (!credentialName) return undefined
  const secret = credentialSecret(credentialName)
  return {
    certificate: mode === 'MUTUAL' ? secret : undefined,
    authority: insecureSkipVerify ? undefined : `${secret}${AUTHORITY_SUFFIX}`,
  }
}

/**
 * Whether a proxy has a use for a secret: a DestinationRule that may hold for it names it for its connections, or its
 * Sidecar for those that come in.
 */
export function needsSecret(snapshot: MeshSnapshot, proxy: Proxy, sdsName: string): boolean {
  const sidecar = sidecarOf(snapshot, proxy)
  if (sidecar && ingressSecrets(sidecar).includes(sdsName)) return true
  for (const rule of snapshot.destinationRules.values())
    if (mayHoldFor(rule, proxy) && secretsOfRule(rule).includes(sdsName)) return true
  return false
}

/** The names of secrets of which a change can decide who needs them. */
export function touchedSecrets(before: MeshSnapshot, after: MeshSnapshot, changes: ChangeSet): Set<string> {
  const found = new Set<string>()
  for (const { destinationRules, sidecars } of [before, after]) {
    for (const key of changes.destinationRules) {
      const rule = destinationRules.get(key)
      for (const name of rule ? secretsOfRule(rule) : []) found.add(name)
    }
    for (const key of changes.sidecars) {
      const sidecar = sidecars.get(key)
      for (const name of sidecar ? ingressSecrets(sidecar) : []) found.add(name)
    }
  }
  return found
}

function ingressSecrets({ spec }: NonNullable<ReturnType<typeof sidecarOf>>): string[] {
  return (spec.ingress ?? []).flatMap(({ tls }) => (tls && authoritySecret(tls)) ?? [])
}

function mayHoldFor({ metadata, spec }: DestinationRule, { namespace, labels }: Proxy): boolean {
  if (!visibleIn(exportScopes(spec.exportTo), metadata.namespace, namespace)) return false
  const { workloadSelector } = spec
  return (
    !workloadSelector || (metadata.namespace === namespace && selects(workloadSelector.matchLabels, labels))
  )
}

const ofRules = new WeakMap<DestinationRule, readonly string[]>()

function secretsOfRule(rule: DestinationRule): readonly string[] {
  const known = ofRules.get(rule)
  if (known) return known
  const policies = [rule.spec.trafficPolicy, ...(rule.spec.subsets ?? []).map(one => one.trafficPolicy)]
  const found = policies.flatMap(policy => (policy ? secretsOfPolicy(policy) : []))
  ofRules.set(rule, found)
  return found
}

function secretsOfPolicy(policy: TrafficPolicy): string[] {
  return [policy, ...(policy.portLevelSettings ?? [])].flatMap(({ tls }) => {
    const { certificate, authority } = (tls && clientSecrets(tls)) ?? {}
    return [certificate ?? [], authority ?? []].flat()
  })
}
