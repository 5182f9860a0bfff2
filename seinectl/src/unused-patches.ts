import type { MeshResource } from '@seine/api'
import type { Problem } from '@seine/kit'
import { mixerPlugins } from '@seine/mixer-plugins'
import { hasProxy, MeshModel } from '@seine/model'
import { TrafficGenerator } from '@seine/pilot-traffic'
import { asDeployed } from './as-deployed.ts'
import { proxyOf } from './proxies.ts'

/** Patches of EnvoyFilters in files that have no effect on the workloads that are in the files, too. */
export function unusedPatches(resources: readonly MeshResource[]): Problem[] {
  if (!resources.some(({ kind }) => kind === 'EnvoyFilter')) return []
  const { snapshot } = new MeshModel().apply({ upserts: asDeployed(resources), deletes: [] })
  const generator = new TrafficGenerator(snapshot, mixerPlugins)
  for (const workload of snapshot.workloads.values())
    if (hasProxy(workload)) generator.configurationOf(proxyOf(workload))
  return generator.unusedPatches()
}
