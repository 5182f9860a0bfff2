import { canonicalIp, UNIX_PREFIX } from '@seine/api'

/** The suffix of the names of Kubernetes services. */
export const CLUSTER_DOMAIN = 'cluster.local'

/** `reviews` of namespace `default` as `reviews.default.svc.cluster.local`. */
export function serviceHostname(name: string, namespace: string): string {
  return `${name}.${namespace}.svc.${CLUSTER_DOMAIN}`
}

/**
 * The full name that a host in a resource means: a name without dots is a service of the resource's own
 * namespace, as Istio has it; names with dots and wildcards stay as they are.
 */
export function resolveHost(host: string, namespace: string): string {
  if (host.startsWith('*') || host.includes('.') || host.includes(':')) return canonicalHost(host)
  return serviceHostname(host.toLowerCase(), namespace)
}

/** A host in the one form in which names are compared: lower case, without a dot at its end. */
export function canonicalHost(host: string): string {
  return canonicalIp(host) ?? host.replace(/\.$/, '').toLowerCase()
}

/** Where an endpoint is: an address or a name in the form in which they are compared, or a socket's path as it is written. */
export function canonicalAddress(address: string): string {
  return isSocket(address) ? address : canonicalHost(address)
}

/** Whether an endpoint is a Unix domain socket: `unix://` and its path. */
export function isSocket(address: string): boolean {
  return address.startsWith(UNIX_PREFIX)
}

/** The service that has a host: the one of that very name, else the one of the longest wildcard that covers it. */
export function findService<T>(services: ReadonlyMap<string, T>, host: string): T | undefined {
  const exact = services.get(host)
  if (exact) return exact
  const wildcard = longestWildcard(services, host)
  return wildcard === undefined ? undefined : services.get(wildcard)
}

/** The longest wildcard of some hosts that covers a name. It may stand for a part of a label: `*-api.example.com`. */
export function longestWildcard(hosts: { has(host: string): boolean }, name: string): string | undefined {
  for (let at = 1; at < name.length; at++) {
    const wildcard = `*${name.slice(at)}`
    if (hosts.has(wildcard)) return wildcard
  }
  return hosts.has('*') ? '*' : undefined
}

/** Whether `pattern` (a name, `*.suffix` or `*`) covers `host`. */
export function hostCovers(pattern: string, host: string): boolean {
  if (pattern === host || pattern === '*') return true
  if (!pattern.startsWith('*')) return false
  const suffix = pattern.slice(1)
  return host.length > suffix.length && host.endsWith(suffix)
}

/**
 * Every name by which a client in `namespace` can call the service in `serviceNamespace`, the full one
 * first. Only names of Kubernetes services have short forms.
 */
export function hostAliases(hostname: string, serviceNamespace: string, clientNamespace: string): string[] {
  const suffix = `.${serviceNamespace}.svc.${CLUSTER_DOMAIN}`
  if (!hostname.endsWith(suffix)) return [hostname]
  const name = hostname.slice(0, -suffix.length)
  if (!/^[-a-z0-9]+$/.test(name)) return [hostname]
  const aliases = [hostname, `${name}.${serviceNamespace}.svc`, `${name}.${serviceNamespace}`]
  return serviceNamespace === clientNamespace ? [...aliases, name] : aliases
}
