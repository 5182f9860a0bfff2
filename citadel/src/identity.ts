/** Who a token speaks for: a service account, and the pod it was given to where the platform says so. */
export interface CallerIdentity {
  readonly namespace: string
  readonly serviceAccount: string
  readonly pod?: string
}

/** `spiffe://cluster.local/ns/default/sa/reviews`, the SPIFFE ID of a service account. */
export function spiffeId(trustDomain: string, { namespace, serviceAccount }: CallerIdentity): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`
}

/** The parts of a workload's DNS name: `<workload>.<namespace>.<app>.<version>.workload.<trust domain>`, `--` standing for a dot. */
export function parseWorkloadName(
  name: string,
  trustDomain: string,
): { workload: string; namespace: string } | undefined {
  const suffix = `.workload.${trustDomain}`
  if (!name.endsWith(suffix)) return undefined
  const parts = name.slice(0, -suffix.length).split('.')
  const [workload, namespace] = parts
  if (parts.length !== 4 || !workload || !namespace) return undefined
  return { workload: workload.replaceAll('--', '.'), namespace: namespace.replaceAll('--', '.') }
}
