import { parseProxyConfigAnnotation } from '@seine/api'
import { PROXY_VERSION } from '@seine/kit'
import type { Workload } from '@seine/model'
import { type Proxy, parseProxy } from '@seine/pilot-traffic'

/** What every agent says of itself: EnvoyFilters can ask for it. */
export const agentMetadata = { ISTIO_VERSION: PROXY_VERSION, ON_DEMAND: 'true' } as const

/** The proxy of a workload, as its agent would introduce it. */
export function proxyOf(workload: Workload): Proxy {
  const { name, namespace, addresses, labels, workloadName, serviceAccount, gateway } = workload
  const parsed = parseProxy(
    nodeId(gateway ? 'router' : 'sidecar', name, namespace, addresses[0] ?? '0.0.0.0'),
    {
      LABELS: labels,
      WORKLOAD_NAME: workloadName,
      SERVICE_ACCOUNT: serviceAccount,
      INSTANCE_IPS: addresses.join(','),
      ...ownSettings(workload),
      ...agentMetadata,
    },
    false,
  )
  if (!parsed.ok) throw new Error(parsed.error)
  return parsed.value
}

/** What a workload's pod says of its own proxy. One that can't be read keeps the pod from having a proxy at all. */
export function ownSettings({ proxyConfig }: Pick<Workload, 'proxyConfig'>): { PROXY_CONFIG?: unknown } {
  const read = proxyConfig === undefined ? undefined : parseProxyConfigAnnotation(proxyConfig)
  return read?.ok ? { PROXY_CONFIG: read.value } : {}
}

/** Istio's node id. */
function nodeId(type: Proxy['type'], name: string, namespace: string, ip: string): string {
  return `${type}~${ip}~${name}.${namespace}~${namespace}.svc.cluster.local`
}
