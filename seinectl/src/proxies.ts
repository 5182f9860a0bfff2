import type { Workload } from '@seine/model'
import { type Proxy, parseProxy } from '@seine/pilot-traffic'

/** The sidecar of a workload, as its agent would introduce it. */
export function proxyOf(workload: Workload): Proxy {
  const { name, namespace, addresses, labels, workloadName, serviceAccount } = workload
  const parsed = parseProxy(
    nodeId(name, namespace, addresses[0] ?? '0.0.0.0'),
    { LABELS: labels, WORKLOAD_NAME: workloadName, SERVICE_ACCOUNT: serviceAccount },
    false,
  )
  if (!parsed.ok) throw new Error(parsed.error)
  return parsed.value
}

/** Istio's node id of a sidecar. */
function nodeId(name: string, namespace: string, ip: string): string {
  return `sidecar~${ip}~${name}.${namespace}~${namespace}.svc.cluster.local`
}
