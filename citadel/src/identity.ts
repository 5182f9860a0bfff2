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

/** What a workload's DNS name says, each part as it is written there: with `--` for a dot. */
export interface WorkloadName {
  readonly workload: string
  readonly namespace: string
}

/** Kubernetes cuts what a pod's name begins with to this length, and adds five characters of its own. */
const LONGEST_STEM = 58
const LONGEST_POD_NAME = 63

/** The parts of a workload's DNS name: `<workload>.<namespace>.<app>.<version>.workload.<trust domain>`. */
export function parseWorkloadName(name: string, trustDomain: string): WorkloadName | undefined {
  const suffix = `.workload.${trustDomain}`
  if (!name.endsWith(suffix)) return undefined
  const parts = name.slice(0, -suffix.length).split('.')
  const [workload, namespace] = parts
  if (parts.length !== 4 || !workload || !namespace) return undefined
  return { workload, namespace }
}

/** Whether a pod can be of a workload: its name is the workload's, or that with more after a hyphen. */
export function isPodOf({ workload }: WorkloadName, pod: string): boolean {
  // As names are written the comparison is exact: which of two names had the dot can't be told from `--`.
  const written = asWritten(pod)
  if (written === workload || written.startsWith(`${workload}-`)) return true
  return pod.length === LONGEST_POD_NAME && `${workload}-`.startsWith(asWritten(pod.slice(0, LONGEST_STEM)))
}

/** A name as it stands in a workload's DNS name. */
export function asWritten(name: string): string {
  return name.replaceAll('.', '--')
}
