/** Names of resources that a refresh of a scope made, changed or removed. */
export interface ScopeChanges {
  readonly clusters: Set<string>
  readonly endpoints: Set<string>
  readonly virtualHosts: Set<string>
  readonly names: Set<string>
  /** Route tables that differ in what is none of their hosts'. */
  readonly tables: Set<string>
  /** Whether the ports or addresses that listeners are made for may have changed. */
  listeners: boolean
}

/** An empty record of changes, to be filled. */
export function noChanges(): ScopeChanges {
  return {
    clusters: new Set(),
    endpoints: new Set(),
    virtualHosts: new Set(),
    names: new Set(),
    tables: new Set(),
    listeners: false,
  }
}

/** Takes the second record of changes into the first. */
export function addChanges(all: ScopeChanges, more: ScopeChanges): void {
  for (const part of ['clusters', 'endpoints', 'virtualHosts', 'names', 'tables'] as const)
    for (const name of more[part]) all[part].add(name)
  all.listeners ||= more.listeners
}
