import { type DestinationRule, type MeshResource, refOf, type VirtualService } from '@seine/api'
import { formatRef, type Problem } from '@seine/kit'
import { byAge } from './age.ts'
import { type Delegated, delegatesOf, withDelegates } from './delegation.ts'
import { destinationsOf, virtualServiceHosts } from './destinations.ts'
import type { RoutedService } from './gateway-api/index.ts'
import { hostCovers } from './host.ts'
import { KeysByName } from './keys-by-name.ts'
import { brokenReferences } from './reference-gate.ts'
import { hostOf, RulesByHost } from './rules-by-host.ts'
import type { Update } from './update.ts'

/**
 * Decides which version of each virtual service and destination rule is in force. The last good one stays
 * while a newer one can't be: a virtual service whose references lead nowhere, and a destination rule without a
 * subset that requests are still routed to. So it does not matter in which order the two are written.
 */
export class Admission {
  /** Objects as they were last written, by `namespace/name`. */
  readonly #services = new Map<string, VirtualService>()
  readonly #rules = new Map<string, DestinationRule>()
  readonly #dirtyServices = new Set<string>()
  readonly #dirtyRules = new Set<string>()
  /** What keeps the last written version out of force, by key. */
  readonly #broken = new Map<string, readonly Problem[]>()
  readonly #waiting = new Map<string, Problem>()
  /** The version of each virtual service that is in force, as it was written. */
  readonly #inForce = new Map<string, VirtualService>()
  /** Those in force that delegate. */
  readonly #roots = new Set<string>()
  /** What came of those that delegate, with what it was made from. */
  readonly #delegated = new Map<string, Delegated & { readonly inputs: readonly unknown[] }>()
  /** The rules in force. */
  readonly #rulesInForce = new RulesByHost()
  /** Virtual services as last written, by the hosts that they send to. */
  readonly #senders = new KeysByName()
  /** Virtual services in force, by namespace and host, and the pairs of these that several claim. */
  readonly #claims = new KeysByName()
  readonly #contested = new Set<string>()
  #conflicts: readonly Problem[] = []

  get problems(): readonly Problem[] {
    return [
      ...this.#conflicts,
      ...this.#waiting.values(),
      ...[...this.#broken.values()].flat(),
      ...[...this.#delegated.values()].flatMap(({ problems }) => problems),
    ]
  }

  /** Takes a new version of an object. */
  write(resource: VirtualService | DestinationRule): void {
    const key = nameOf(resource)
    if (resource.kind === 'VirtualService') {
      this.#services.set(key, resource)
      this.#senders.set(
        key,
        destinationsOf(resource).map(({ host }) => host),
      )
      this.#dirtyServices.add(key)
    } else {
      this.#rules.set(key, resource)
      this.#dirtyRules.add(key)
    }
  }

  /** The object is gone, or about to be written anew. */
  remove(resource: VirtualService | DestinationRule): void {
    const key = nameOf(resource)
    if (resource.kind === 'VirtualService') {
      this.#services.delete(key)
      this.#senders.set(key, [])
      this.#dirtyServices.add(key)
    } else {
      this.#rules.delete(key)
      this.#dirtyRules.add(key)
    }
  }

  /** The version of an object that is in force, if it is another than the one that was written last. */
  kept({ kind, metadata }: VirtualService | DestinationRule): Kept | undefined {
    const key = `${metadata.namespace}/${metadata.name}`
    const written = kind === 'VirtualService' ? this.#services.get(key) : this.#rules.get(key)
    const inForce = kind === 'VirtualService' ? this.#inForce.get(key) : this.#rulesInForce.at(key)
    return inForce === written ? undefined : { version: inForce }
  }

  /** The object says the same at another place: its problems name the new one. */
  moved(resource: MeshResource): void {
    const key = nameOf(resource)
    if (resource.kind === 'VirtualService') {
      const isReported = this.#broken.has(key) || this.#delegated.has(key)
      if (isReported || this.#conflicts.length > 0) this.write(resource)
    } else if (resource.kind === 'DestinationRule' && this.#waiting.has(key)) this.write(resource)
  }

  /**
   * Puts into force what can be. Services of the update are as they will be.
   *
   * @param isAdmitted what was written is in force already, elsewhere: it is not judged
   */
  admit(update: Update, isAdmitted = false): void {
    const { changes } = update
    if (this.#dirtyRules.size + this.#dirtyServices.size + changes.services.size === 0) return
    const replaced = this.#admitRules(update, isAdmitted)
    this.#admitServices(update, replaced, isAdmitted)
    if (!isAdmitted) this.#keepUsedSubsets(update, replaced)
    this.#refreshConflicts(update)
    this.#dirtyServices.clear()
    this.#dirtyRules.clear()
  }

  /** @returns what was in force before, by key, of the rules that were replaced or removed. */
  #admitRules(update: Update, isAdmitted: boolean): Map<string, DestinationRule> {
    const before = update.current('destinationRules')
    const replaced = new Map<string, DestinationRule>()
    const tried = new Set([...this.#dirtyRules, ...this.#waiting.keys()])
    this.#waiting.clear()
    // Rules that are in force come first: one that takes another host makes room for a rule that waits. Of new
    // ones the oldest does, so that the order in which they were read does not matter.
    const inOrder = [...tried].sort(
      (a, b) => Number(before.has(b)) - Number(before.has(a)) || this.#olderRule(a, b),
    )
    for (const key of inOrder) {
      const old = before.get(key)
      const written = this.#rules.get(key)
      if (old === written) continue
      const other = isAdmitted ? undefined : written && rival(written, this.#rulesInForce.of(hostOf(written)))
      if (written && other) this.#waiting.set(key, rivalry(written, other))
      if (old) replaced.set(key, old)
      this.#enforce(update, key, other ? undefined : written)
    }
    return replaced
  }

  #olderRule(a: string, b: string): number {
    const [left, right] = [this.#rules.get(a), this.#rules.get(b)]
    return left && right ? byAge(left, right) : Number(left === undefined) - Number(right === undefined)
  }

  #admitServices(update: Update, replaced: ReadonlyMap<string, DestinationRule>, isAdmitted: boolean): void {
    for (const key of this.#concerned(update, replaced)) {
      const written = this.#services.get(key)
      if (!written) {
        this.#broken.delete(key)
        this.#inForce.delete(key)
        this.#roots.delete(key)
        this.#delegated.delete(key)
        if (update.current('virtualServices').has(key)) update.delete('virtualServices', key)
        continue
      }
      const problems = isAdmitted
        ? []
        : brokenReferences(written, {
            services: update.current('services'),
            destinationRules: this.#rulesInForce,
          })
      if (problems.length > 0) this.#broken.set(key, problems)
      else this.#broken.delete(key)
      if (problems.length > 0 || this.#inForce.get(key) === written) continue
      this.#inForce.set(key, written)
      if (delegatesOf(written).length > 0) {
        this.#roots.add(key)
        continue
      }
      this.#roots.delete(key)
      this.#delegated.delete(key)
      update.set('virtualServices', key, written)
    }
    this.#delegate(update)
  }

  /** Puts the routes of delegates into the virtual services that delegate to them, where one of the two changed. */
  #delegate(update: Update): void {
    for (const key of this.#roots) {
      const root = this.#inForce.get(key)
      if (!root) continue
      const inputs = [root, ...delegatesOf(root).map(name => this.#inForce.get(name))]
      const known = this.#delegated.get(key)?.inputs
      if (known?.length === inputs.length && known.every((input, index) => input === inputs[index])) continue
      const made = withDelegates(root, name => this.#inForce.get(name))
      this.#delegated.set(key, { ...made, inputs })
      update.set('virtualServices', key, made.service)
    }
  }

  /** Puts a rule back into force whose new version, or removal, would leave requests without a destination. */
  #keepUsedSubsets(update: Update, replaced: ReadonlyMap<string, DestinationRule>): void {
    for (const [key, old] of replaced) {
      const user = this.#subsetUser(old, update)
      if (!user) continue
      const written = this.#rules.get(key) ?? old
      this.#enforce(update, key, old)
      this.#waiting.set(key, inUse(written, user))
    }
  }

  #enforce(update: Update, key: string, rule: DestinationRule | undefined): void {
    this.#rulesInForce.set(key, rule)
    if (rule) update.set('destinationRules', key, rule)
    else update.delete('destinationRules', key)
  }

  /** The virtual services that were written, and those whose destinations may be others now. */
  #concerned(update: Update, replaced: ReadonlyMap<string, DestinationRule>): ReadonlySet<string> {
    const { changes } = update
    const now = update.current('destinationRules')
    const rules = [...replaced.values(), ...[...changes.destinationRules].flatMap(key => now.get(key) ?? [])]
    const hosts = new Set([...changes.services, ...rules.map(hostOf)])
    const senders = [...hosts].flatMap(host => [...this.#senders.coveredBy(host)])
    return new Set([...this.#dirtyServices, ...senders])
  }

  /** A virtual service in force that routes to a subset which only this rule defined. */
  #subsetUser(rule: DestinationRule, update: Update): SubsetUser | undefined {
    const covered = hostOf(rule)
    const services = update.current('services')
    for (const service of update.current('virtualServices').values()) {
      for (const { host, subset } of destinationsOf(service)) {
        if (subset === undefined || !services.has(host) || !hostCovers(covered, host)) continue
        const defined = rule.spec.subsets?.some(({ name }) => name === subset)
        if (defined && !this.#rulesInForce.hasSubset(host, subset)) return { service, subset }
      }
    }
    return undefined
  }

  #refreshConflicts(update: Update): void {
    const services = update.current('virtualServices')
    const touched = new Set<string>()
    for (const key of update.changes.virtualServices)
      for (const claim of this.#claims.set(key, claimsOf(services.get(key)))) touched.add(claim)
    const before = this.#contested.size
    for (const claim of touched) {
      if (this.#claims.of(claim).size > 1) this.#contested.add(claim)
      else this.#contested.delete(claim)
    }
    if (before + this.#contested.size === 0) return
    const keys = new Set([...this.#contested].flatMap(claim => [...this.#claims.of(claim)]))
    this.#conflicts = conflictsOf([...keys].flatMap(key => services.get(key) ?? []))
  }
}

/** What is in force in the place of what was written last; undefined where no version has been good yet. */
export interface Kept {
  readonly version: VirtualService | DestinationRule | undefined
}

/** The hosts that a virtual service decides for, each with its namespace. */
function claimsOf(service: RoutedService | undefined): string[] {
  if (!service || !isWritten(service) || !appliesToSidecars(service)) return []
  return virtualServiceHosts(service).map(host => `${service.metadata.namespace} ${host}`)
}

interface SubsetUser {
  readonly service: VirtualService
  readonly subset: string
}

function inUse(rule: DestinationRule, { service, subset }: SubsetUser): Problem {
  return problemAt(
    rule,
    'spec.subsets',
    'subset-in-use',
    `${formatRef(refOf(service))} still routes to the subset ${subset}; the last good version of this resource stays in force until it does not`,
  )
}

/** Of the rules in force for the same host, one in the same namespace and for the same clients. */
function rival(rule: DestinationRule, others: Iterable<DestinationRule>): DestinationRule | undefined {
  for (const other of others) {
    if (other.metadata.namespace !== rule.metadata.namespace || other.metadata.name === rule.metadata.name)
      continue
    if (selectorOf(other) === selectorOf(rule) && share(rule, other)) return other
  }
  return undefined
}

/** The clients that a rule is for, in words that are equal for equal ones. */
function selectorOf({ spec }: DestinationRule): string | undefined {
  return (
    spec.workloadSelector && JSON.stringify(Object.entries(spec.workloadSelector.matchLabels ?? {}).sort())
  )
}

function rivalry(rule: DestinationRule, other: DestinationRule): Problem {
  const host = hostOf(rule)
  return problemAt(
    rule,
    'spec.host',
    'host-collision',
    `${host} has ${formatRef(refOf(other))} already, which is used; write both as one`,
  )
}

/** Virtual services of one namespace for a host that an earlier one decides for (IST0109, as Istio's analysis names it). */
function conflictsOf(services: readonly VirtualService[]): Problem[] {
  const problems: Problem[] = []
  const deciding = new Map<string, VirtualService[]>()
  for (const service of [...services].filter(appliesToSidecars).sort(byAge)) {
    for (const [index, host] of virtualServiceHosts(service).entries()) {
      const key = `${service.metadata.namespace} ${host}`
      const known = deciding.get(key) ?? []
      const winner = known.find(other => share(service, other))
      deciding.set(key, [...known, service])
      if (!winner || winner === service) continue
      problems.push(
        problemAt(
          service,
          `spec.hosts[${index}]`,
          'IST0109',
          `${formatRef(refOf(winner))} decides for ${host} already; write both as one`,
        ),
      )
    }
  }
  return problems
}

/** Routes that were derived come from objects that the Gateway API itself has rules for. */
function isWritten({ derivation }: RoutedService): boolean {
  return derivation === undefined
}

/** Without `gateways`, or with `mesh` among them, a virtual service is for sidecars. */
export function appliesToSidecars(service: VirtualService): boolean {
  return !service.spec.gateways?.length || service.spec.gateways.includes('mesh')
}

/** Whether some client may see both. */
function share(
  a: { readonly spec: { readonly exportTo?: readonly string[] | undefined } },
  b: typeof a,
): boolean {
  const [left, right] = [a, b].map(({ spec }) => spec.exportTo ?? [])
  const everywhere = (scopes: readonly string[] = []) => scopes.length === 0 || scopes.includes('*')
  return everywhere(left) || everywhere(right) || (left ?? []).some(scope => right?.includes(scope))
}

function problemAt(
  resource: VirtualService | DestinationRule,
  path: string,
  code: string,
  message: string,
): Problem {
  const position = resource.origin ? { position: resource.origin.locate(path) } : {}
  return { severity: 'error', code, message, resource: refOf(resource), path, ...position }
}

function nameOf({ metadata }: MeshResource): string {
  return `${metadata.namespace}/${metadata.name}`
}
