import type { DestinationRule, LocalityLbSetting, MeshConfig } from '@seine/api'
import {
  type Endpoint,
  localityParts,
  type MeshService,
  NETWORK_LABEL,
  NODE_LABEL,
  TOPOLOGY,
} from '@seine/model'
import type { EffectivePolicy } from './destination-rules.ts'

/** Where a client is, and those of its labels by which endpoints may be preferred, or more. */
export interface ClientPlace {
  /** `region/zone/subzone`, empty where it is not known. */
  readonly locality: string
  readonly labels: Readonly<Record<string, string>>
  /** The network that it is in; empty where that is not known. */
  readonly network: string
}

/** Endpoints of one place that are preferred alike. */
export interface EndpointGroup {
  readonly locality: string
  /** 0 is used first; the next one when endpoints of those before it fail. */
  readonly priority: number
  /** Its share among the groups of its priority, where places have shares. */
  readonly weight: number
  readonly endpoints: readonly Endpoint[]
}

/** A service, as far as it says which endpoints are preferred. */
type Distributed = Pick<MeshService, 'distribution'>

/** What a service's own wish for near endpoints means. */
const DISTRIBUTIONS: Readonly<Record<NonNullable<MeshService['distribution']>, LocalityLbSetting>> = {
  'same-zone': { failoverPriority: [NETWORK_LABEL, ...TOPOLOGY.slice(0, 2)] },
  'same-node': { failoverPriority: [NETWORK_LABEL, ...TOPOLOGY, NODE_LABEL] },
}

/** How place counts towards a service: as the rule says, or the service, or the mesh. Nothing where it does not count. */
export function localitySetting(
  { distribution }: Distributed,
  config: MeshConfig,
  policy: EffectivePolicy,
): LocalityLbSetting | undefined {
  const own = distribution && DISTRIBUTIONS[distribution]
  const setting = policy.loadBalancer?.localityLbSetting ?? own ?? config.localityLbSetting
  return setting.enabled === false ? undefined : setting
}

/**
 * The endpoints by place, as the setting has them for a client. Endpoints are preferred by place only where
 * outlier detection can tell that the preferred ones fail, or where the service itself asks for it, as in Istio.
 */
export function groupsOf(
  endpoints: readonly Endpoint[],
  service: Distributed,
  policy: EffectivePolicy,
  config: MeshConfig,
  client: ClientPlace,
): EndpointGroup[] {
  const setting = localitySetting(service, config, policy)
  if (setting?.distribute?.length)
    return distributed(
      grouped(endpoints, () => 0),
      setting.distribute,
      client,
    )
  const isOwn = service.distribution !== undefined && setting === DISTRIBUTIONS[service.distribution]
  if (!setting || !(policy.outlierDetection || isOwn)) return grouped(endpoints, () => 0)
  return consecutive(grouped(endpoints, endpoint => distance(endpoint, setting, client)))
}

/** Whether what a service's clients get depends on where they are. */
export function isPlaceDependent(
  { distribution }: Distributed,
  rule: DestinationRule | undefined,
  config: MeshConfig,
): boolean {
  if (distribution !== undefined || config.localityLbSetting.distribute?.length) return true
  if (config.defaultTrafficPolicy?.outlierDetection) return true
  const policies = [rule?.spec.trafficPolicy, ...(rule?.spec.subsets ?? []).map(one => one.trafficPolicy)]
  return policies
    .flatMap(policy => (policy ? [policy, ...(policy.portLevelSettings ?? [])] : []))
    .some(policy => policy.outlierDetection || policy.loadBalancer?.localityLbSetting?.distribute?.length)
}

/** The labels by which rules, or the mesh's settings, prefer endpoints that are like the client. */
export function* priorityLabels(rules: Iterable<DestinationRule>, config: MeshConfig): Iterable<string> {
  const keys = (setting: LocalityLbSetting | undefined) =>
    (setting?.failoverPriority ?? []).map(written => labelAndValue(written)[0])
  yield* keys(config.localityLbSetting)
  for (const { spec } of rules) {
    for (const policy of [spec.trafficPolicy, ...(spec.subsets ?? []).map(one => one.trafficPolicy)])
      for (const one of policy ? [policy, ...(policy.portLevelSettings ?? [])] : [])
        yield* keys(one.loadBalancer?.localityLbSetting)
  }
}

function grouped(
  endpoints: readonly Endpoint[],
  priorityOf: (endpoint: Endpoint) => number,
): EndpointGroup[] {
  const groups = new Map<string, EndpointGroup & { readonly endpoints: Endpoint[] }>()
  for (const endpoint of endpoints) {
    const { locality } = endpoint
    const priority = priorityOf(endpoint)
    const key = `${priority} ${locality}`
    const group = groups.get(key) ?? { locality, priority, weight: 0, endpoints: [] }
    const weight = group.weight + Math.max(endpoint.weight, 1)
    group.endpoints.push(endpoint)
    groups.set(key, { ...group, weight })
  }
  return [...groups.values()].sort(
    (a, b) => a.priority - b.priority || (a.locality < b.locality ? -1 : a.locality > b.locality ? 1 : 0),
  )
}

/** The shares of a client's place; what has none gets nothing. Groups that share one have it by their own weights. */
function distributed(
  groups: readonly EndpointGroup[],
  distribute: NonNullable<LocalityLbSetting['distribute']>,
  { locality }: ClientPlace,
): EndpointGroup[] {
  const setting = distribute.find(({ from }) => lies(locality, from))
  if (!setting) return [...groups]
  return Object.entries(setting.to).flatMap(([to, share]) => {
    const meant = groups.filter(group => lies(group.locality, to))
    const total = meant.reduce((sum, { weight }) => sum + weight, 0)
    return meant.map(group => ({ ...group, weight: Math.ceil((group.weight * share) / total) }))
  })
}

/** Whether a locality is one that a pattern means: `region`, `region/zone/*`, `*`. */
function lies(locality: string, pattern: string): boolean {
  const parts = localityParts(locality)
  return localityParts(pattern).every(
    (wanted, index) => wanted === '*' || (index > 0 && wanted === '') || wanted === parts[index],
  )
}

/** How far an endpoint is from the client, by labels first and by place then. */
function distance(endpoint: Endpoint, setting: LocalityLbSetting, client: ClientPlace): number {
  const labels = setting.failoverPriority ?? []
  const byLabels = labels.length > 0 ? unlikeness(endpoint, labels, client) : 0
  const countsPlace = labels.length === 0 || (setting.failover ?? []).length > 0
  return byLabels * STEPS + (countsPlace ? remoteness(endpoint.locality, setting.failover ?? [], client) : 0)
}

/** How many degrees of remoteness there are. */
const STEPS = 5

/** The same subzone, zone, region, the region to fail over to or any where none is named, and others. */
function remoteness(
  locality: string,
  failover: NonNullable<LocalityLbSetting['failover']>,
  client: ClientPlace,
): number {
  if (client.locality === '') return 0
  const [region, ...within] = localityParts(locality)
  const [own, ...ownWithin] = localityParts(client.locality)
  if (region !== own) {
    const to = failover.find(({ from }) => from === own)?.to
    return to === undefined || to === region ? 3 : 4
  }
  if (within[0] !== ownWithin[0]) return 2
  return within[1] === ownWithin[1] ? 0 : 1
}

/**
 * How many labels, from the end of the list, come after the first one that differs, that one included. Where the first
 * label is the network, as in Istio, others count within a network: all of the client's own come before those of others.
 */
function unlikeness(endpoint: Endpoint, labels: readonly string[], client: ClientPlace): number {
  const isOther = labels.map(written => differs(endpoint, written, client))
  const isElsewhere = labels[0] === NETWORK_LABEL && isOther[0] === true
  const differing = isOther.indexOf(true, isElsewhere ? 1 : 0)
  return (differing < 0 ? 0 : labels.length - differing) + (isElsewhere ? labels.length : 0)
}

function differs(endpoint: Endpoint, written: string, client: ClientPlace): boolean {
  const [label, value] = labelAndValue(written)
  if (label === NETWORK_LABEL) return (value ?? client.network) !== (endpoint.membership?.network ?? '')
  const wanted = value ?? labelOf(label, client.labels, client.locality)
  const own = label === NODE_LABEL ? endpoint.workload?.node : undefined
  return wanted !== (own ?? labelOf(label, endpoint.labels, endpoint.locality))
}

/** A label, and the value to look for in the place of the client's own. */
function labelAndValue(written: string): [label: string, value: string | undefined] {
  const equals = written.indexOf('=')
  return equals < 0 ? [written, undefined] : [written.slice(0, equals), written.slice(equals + 1)]
}

function labelOf(label: string, labels: Readonly<Record<string, string>>, locality: string): string {
  const part = (TOPOLOGY as readonly string[]).indexOf(label)
  return (part >= 0 ? localityParts(locality)[part] : labels[label]) ?? ''
}

/** The same with priorities that leave none out, which Envoy asks for. */
export function consecutive<T extends { readonly priority: number }>(groups: readonly T[]): T[] {
  const used = [...new Set(groups.map(({ priority }) => priority))].sort((a, b) => a - b)
  return groups.map(group => ({ ...group, priority: used.indexOf(group.priority) }))
}
