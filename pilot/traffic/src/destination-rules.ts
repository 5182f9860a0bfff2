import type { DestinationRule, MeshConfig, Subset, TrafficPolicy } from '@seine/api'
import {
  byAge,
  exportScopes,
  hostCovers,
  type MeshService,
  type MeshSnapshot,
  resolveHost,
  selects,
  visibleIn,
} from '@seine/model'

/** Who asks for a rule: its namespace, and those of its labels that some rule's selector names, or more. */
export interface RuleClient {
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
}

/**
 * The rule for a host as a client sees it. As in Istio, a rule of the client's own namespace comes before one of
 * the service's, and that before one of the root namespace; an exact host before a wildcard, a longer wildcard
 * before a shorter one; and for one host, one that selects the client before one for all.
 */
export function destinationRuleFor(
  index: DestinationRuleIndex,
  hostname: string,
  serviceNamespace: string,
  { namespace, labels }: RuleClient,
  rootNamespace: string,
): DestinationRule | undefined {
  const candidates = index.covering(hostname)
  for (const owner of [namespace, serviceNamespace, rootNamespace]) {
    const found = candidates.find(
      rule =>
        rule.metadata.namespace === owner &&
        (!rule.spec.workloadSelector ||
          (owner === namespace && selects(rule.spec.workloadSelector.matchLabels, labels))) &&
        visibleIn(exportScopes(rule.spec.exportTo), rule.metadata.namespace, namespace),
    )
    if (found) return found
  }
  return undefined
}

/** What looks up the rule for a host, as a client sees it. */
export function ruleLookup(
  { rules, snapshot }: { readonly rules: DestinationRuleIndex; readonly snapshot: MeshSnapshot },
  client: RuleClient,
): (hostname: string) => DestinationRule | undefined {
  const { services, config } = snapshot
  return hostname =>
    destinationRuleFor(rules, hostname, services.get(hostname)?.namespace ?? '', client, config.rootNamespace)
}

/** The destination rules of a snapshot, by host. */
export class DestinationRuleIndex {
  readonly #exact = new Map<string, DestinationRule[]>()
  readonly #wildcards: [host: string, rule: DestinationRule][] = []

  constructor(snapshot: MeshSnapshot) {
    for (const rule of [...snapshot.destinationRules.values()].sort(bySelectorAndAge)) {
      const host = resolveHost(rule.spec.host, rule.metadata.namespace)
      if (host.startsWith('*')) this.#wildcards.push([host, rule])
      else this.#exact.set(host, [...(this.#exact.get(host) ?? []), rule])
    }
    this.#wildcards.sort((a, b) => b[0].length - a[0].length)
  }

  /** Rules that cover the host, the most specific first. */
  covering(hostname: string): readonly DestinationRule[] {
    const exact = this.#exact.get(hostname) ?? []
    const wildcards = this.#wildcards.filter(([host]) => hostCovers(host, hostname)).map(([, rule]) => rule)
    return wildcards.length === 0 ? exact : [...exact, ...wildcards]
  }
}

/** Rules for selected clients come before those for all. */
function bySelectorAndAge(a: DestinationRule, b: DestinationRule): number {
  const isForAll = ({ spec }: DestinationRule) => Number(spec.workloadSelector === undefined)
  return isForAll(a) - isForAll(b) || byAge(a, b)
}

/** The labels of clients that some rule's selector names. */
export function* selectorLabels({ destinationRules }: MeshSnapshot): Iterable<string> {
  for (const { spec } of destinationRules.values())
    yield* Object.keys(spec.workloadSelector?.matchLabels ?? {})
}

type Policy = Omit<TrafficPolicy, 'portLevelSettings'>

/** A traffic policy for one port, with the field path each part came from. */
export interface EffectivePolicy extends Policy {
  readonly paths: readonly string[]
}

/**
 * What applies to a port of a subset: the subset's policy over the rule's, and a port-level setting in place
 * of the whole policy it stands in, as Istio has it. What of connections and outliers is said nowhere there is as the
 * mesh's settings have it.
 */
export function effectivePolicy(
  rule: DestinationRule | undefined,
  subset: Subset | undefined,
  port: number,
  { defaultTrafficPolicy }: Partial<Pick<MeshConfig, 'defaultTrafficPolicy'>>,
): EffectivePolicy {
  return { ...defined(defaultTrafficPolicy ?? {}), ...writtenPolicy(rule, subset, port) }
}

function writtenPolicy(
  rule: DestinationRule | undefined,
  subset: Subset | undefined,
  port: number,
): EffectivePolicy {
  const subsetIndex = subset ? (rule?.spec.subsets ?? []).indexOf(subset) : -1
  const base = forPort(rule?.spec.trafficPolicy, 'spec.trafficPolicy', port)
  if (!subset?.trafficPolicy) return base
  const own = forPort(subset.trafficPolicy, `spec.subsets[${subsetIndex}].trafficPolicy`, port)
  const { paths, ...rest } = own
  return { ...base, ...defined(rest), paths: [...base.paths, ...paths] }
}

/** Whether connections go to the address that the client asked for, and not to one that is chosen. */
export function goesWhereClientWent({ resolution }: MeshService, { loadBalancer }: EffectivePolicy): boolean {
  // An address that stands for all names of a wildcard leads nowhere.
  if (resolution === 'dynamic-dns') return false
  return resolution === 'passthrough' || loadBalancer?.simple === 'PASSTHROUGH'
}

function forPort(policy: TrafficPolicy | undefined, path: string, port: number): EffectivePolicy {
  if (!policy) return { paths: [] }
  const index = (policy.portLevelSettings ?? []).findIndex(setting => setting.port.number === port)
  const setting = policy.portLevelSettings?.[index]
  const { portLevelSettings: _settings, ...own } = policy
  if (!setting) return { ...defined(own), paths: [path] }
  const { port: _port, ...rest } = setting
  // What a port can't say for itself holds for all ports.
  const { tunnel, proxyProtocol, retryBudget } = own
  const common = defined({ tunnel, proxyProtocol, retryBudget })
  const paths = Object.keys(common).length > 0 ? [path] : []
  return { ...common, ...rest, paths: [...paths, `${path}.portLevelSettings[${index}]`] }
}

/** The object without its undefined fields, so that spreading it does not erase what it is spread over. */
function defined(policy: Policy): Policy {
  return Object.fromEntries(Object.entries(policy).filter(([, value]) => value !== undefined)) as Policy
}
