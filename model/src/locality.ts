type Labels = Readonly<Record<string, string>>

/** The label by which a workload says where it is, with `.` or `/` between the parts. */
const LOCALITY_LABEL = 'istio-locality'
/** The labels of a node's place, from the largest to the smallest. */
export const TOPOLOGY = [
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
] as const

/** The label by which a node is told from others: what runs on one has its value, whatever its own labels say. */
export const NODE_LABEL = 'kubernetes.io/hostname'

/** Where labels say that something is, as `region/zone/subzone` with parts left out at the end; empty where they don't. */
export function localityOfLabels(labels: Labels): string {
  const written = labels[LOCALITY_LABEL]
  if (written) return written.includes('/') ? written : written.replaceAll('.', '/')
  return joined(TOPOLOGY.map(label => labels[label] ?? ''))
}

/** Region, zone and subzone of a locality, each empty where it is not known. */
export function localityParts(locality: string): readonly [region: string, zone: string, subzone: string] {
  const [region = '', zone = '', subzone = ''] = locality.split('/')
  return [region, zone, subzone]
}

/** A zone means nothing without its region. */
function joined([region = '', zone = '', subzone = '']: readonly string[]): string {
  if (!region) return ''
  return zone ? [region, zone, ...(subzone ? [subzone] : [])].join('/') : region
}
