import type { MeshResource } from '@seine/api'
import type { Problem } from '@seine/kit'
import { mixerPlugins } from '@seine/mixer-plugins'
import { hasProxy, MeshModel } from '@seine/model'
import { TrafficGenerator } from '@seine/pilot-traffic'
import { asDeployed } from './as-deployed.ts'
import { proxyOf } from './proxies.ts'

/** What EnvoyFilters in files ask for and the workloads in the files do not get. */
export function patchProblems(resources: readonly MeshResource[]): Problem[] {
  if (!resources.some(({ kind }) => kind === 'EnvoyFilter')) return []
  const { snapshot } = new MeshModel().apply({ upserts: asDeployed(resources), deletes: [] })
  const generator = new TrafficGenerator(snapshot, mixerPlugins)
  for (const workload of snapshot.workloads.values())
    if (hasProxy(workload)) generator.configurationOf(proxyOf(workload))
  return generator.patchProblems()
}
