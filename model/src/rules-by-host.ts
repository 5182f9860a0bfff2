import type { DestinationRule } from '@seine/api'
import { hostCovers, resolveHost } from './host.ts'

/** Destination rules by the hosts that they are for. */
export class RulesByHost {
  /** Host → rules by key. */
  readonly #byHost = new Map<string, Map<string, DestinationRule>>()
  readonly #wildcards = new Set<string>()
  readonly #hostOf = new Map<string, string>()

  /** Puts a rule in the place of what had its key; without one, takes that away. */
  set(key: string, rule: DestinationRule | undefined): void {
    const before = this.#hostOf.get(key)
    if (before !== undefined) this.#take(key, before)
    if (!rule) return
    const host = hostOf(rule)
    this.#hostOf.set(key, host)
    const rules = this.#byHost.get(host) ?? new Map<string, DestinationRule>()
    this.#byHost.set(host, rules.set(key, rule))
    if (host.startsWith('*')) this.#wildcards.add(host)
  }

  /** The rule of a key. */
  at(key: string): DestinationRule | undefined {
    const host = this.#hostOf.get(key)
    return host === undefined ? undefined : this.#byHost.get(host)?.get(key)
  }

  /** The rules for the very host. */
  of(host: string): Iterable<DestinationRule> {
    return this.#byHost.get(host)?.values() ?? []
  }

  /** Whether a rule that covers the host defines the subset. */
  hasSubset(host: string, subset: string): boolean {
    const defines = (covering: string) =>
      [...this.of(covering)].some(({ spec }) => spec.subsets?.some(({ name }) => name === subset))
    return (
      defines(host) || [...this.#wildcards].some(pattern => hostCovers(pattern, host) && defines(pattern))
    )
  }

  #take(key: string, host: string): void {
    this.#hostOf.delete(key)
    const rules = this.#byHost.get(host)
    rules?.delete(key)
    if (rules?.size !== 0) return
    this.#byHost.delete(host)
    this.#wildcards.delete(host)
  }
}

/** The host that a rule is for, in full. */
export function hostOf({ spec, metadata }: DestinationRule): string {
  return resolveHost(spec.host, metadata.namespace)
}
