import { NODE_LABEL } from '@seine/model'
import { selectorLabels } from './destination-rules.ts'
import type { IndexedSnapshot } from './indexed-snapshot.ts'
import { priorityLabels } from './locality.ts'

/** The labels of clients that something in the mesh asks for, sorted: who differs in no other gets the same. */
export function sourceLabelNames({ snapshot, distributions }: IndexedSnapshot): string[] {
  const names = new Set<string>([
    ...selectorLabels(snapshot),
    ...priorityLabels(snapshot.destinationRules.values(), snapshot.config),
    ...(distributions.has('same-node') ? [NODE_LABEL] : []),
  ])
  for (const { spec } of snapshot.virtualServices.values()) {
    for (const route of [...(spec.http ?? []), ...(spec.tcp ?? []), ...(spec.tls ?? [])]) {
      for (const match of route.match ?? [])
        for (const name of Object.keys(match.sourceLabels ?? {})) names.add(name)
    }
  }
  return [...names].sort()
}
