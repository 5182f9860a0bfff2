import { describeCluster, type ExplainedEndpoint, endpointsOf } from './clusters.ts'
import type { ProxyConfiguration } from './configuration.ts'
import { type Step, step, type Target } from './explanation.ts'

/**
 * The clusters of a choice with their endpoints, each explained.
 *
 * @param missingStatus what requests to a cluster that is not there are answered with
 */
export function explainTargets(
  configuration: ProxyConfiguration,
  shares: readonly { readonly cluster: string; readonly share: number }[],
  missingStatus = 503,
): { targets: Target[]; steps: Step[] } {
  const targets: Target[] = []
  const steps: Step[] = []
  for (const { cluster: name, share } of shares) {
    const cluster = configuration.clusters.get(name)
    if (!cluster) {
      steps.push(step('cluster', name, `is not there: requests are answered with ${missingStatus}`))
      targets.push({ cluster: name, share, endpoints: [] })
      continue
    }
    const endpoints = endpointsOf(configuration, cluster)
    const [summary = '', ...details] = describeCluster(cluster)
    steps.push(step('cluster', name, summary, { details, causes: configuration.causesOf('clusters', name) }))
    if (endpoints.length > 0 || needsEndpoints(configuration, name))
      steps.push(
        step(
          'endpoints',
          name,
          endpoints.length === 0 ? 'there are none' : `${endpoints.length} to choose from`,
          {
            details: [
              ...endpoints.map(describeEndpoint),
              ...configuration.notesOf('clusters', name),
              ...configuration.notesOf('endpoints', name),
            ],
            causes: configuration.causesOf('endpoints', name),
          },
        ),
      )
    targets.push({ cluster: name, share, endpoints })
  }
  return { targets, steps }
}

function describeEndpoint({
  address,
  port,
  healthy,
  workload,
  locality,
  priority,
  gateway,
}: ExplainedEndpoint): string {
  const who = gateway
    ? `, the gateway of the network ${gateway.network}, for ${gateway.endpoints === 1 ? 'an endpoint' : `${gateway.endpoints} endpoints`} there${workload ? ` (${workload})` : ''}`
    : workload
      ? ` (${workload})`
      : ''
  return `${address}:${port}${who}${locality ? ` in ${locality}` : ''}${priority > 0 ? `, priority ${priority}: when those before it fail` : ''}${healthy ? '' : ' (unhealthy)'}`
}

/** Whether whatever goes there fails for want of an endpoint. */
export function isUnserved(configuration: ProxyConfiguration, { cluster, endpoints }: Target): boolean {
  return endpoints.length === 0 && needsEndpoints(configuration, cluster)
}

/** Whether a cluster chooses among endpoints that the mesh tells it. */
function needsEndpoints(configuration: ProxyConfiguration, name: string): boolean {
  const cluster = configuration.clusters.get(name)
  return cluster === undefined || cluster.edsClusterConfig !== undefined || name === 'BlackHoleCluster'
}
