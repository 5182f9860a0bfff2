import type { DestinationRule, Subset } from '@seine/api'
import type { Provenance } from '@seine/envoy'
import type { MeshService, ServicePort } from '@seine/model'
import type { EffectivePolicy } from '../destination-rules.ts'

/** What a cluster comes from: the service's port, and those parts of a rule that hold for it. */
export function clusterCauses(
  { service, rule }: { readonly service: MeshService; readonly rule: DestinationRule | undefined },
  port: ServicePort,
  subset: Subset | undefined,
  policy: EffectivePolicy,
): Provenance[] {
  const found: Provenance[] = [{ ...service.ref, path: `spec.ports[${port.index}]` }]
  if (!rule) return found
  const ref = { kind: rule.kind, namespace: rule.metadata.namespace, name: rule.metadata.name }
  for (const path of policy.paths) found.push({ ...ref, path })
  if (subset) found.push({ ...ref, path: `spec.subsets[${(rule.spec.subsets ?? []).indexOf(subset)}]` })
  return found
}
