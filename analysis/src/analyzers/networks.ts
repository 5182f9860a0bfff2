import type { Analyzer } from '../analyzer.ts'

/** Registries that there are without a remote cluster. */
const BUILT_IN: readonly string[] = ['Kubernetes', 'External', 'Mock']

/** Networks that take endpoints from a registry nobody knows (IST0126). */
export const networkRegistries: Analyzer = {
  name: 'network-registries',
  inputs: ['ConfigMap', 'Secret'],
  analyze(context, report) {
    const clusters = context
      .all('Secret')
      .filter(({ metadata }) => metadata.labels['istio/multiCluster'] === 'true')
      .flatMap(({ spec }) => [...Object.keys(spec.data ?? {}), ...Object.keys(spec.stringData ?? {})])
    const known = new Set([...BUILT_IN, ...clusters])
    for (const { resource, network, registry } of context.meshConfig.networkRegistries)
      if (!known.has(registry)) report(resource, 'IST0126', ['data', 'meshNetworks'], { registry, network })
  },
}
