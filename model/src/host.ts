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
  if (host.startsWith('*') || host.includes('.') || host.includes(':')) return host.replace(/\.$/, '')
  return serviceHostname(host, namespace)
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
  const aliases = [hostname, `${name}.${serviceNamespace}.svc`, `${name}.${serviceNamespace}`]
  return serviceNamespace === clientNamespace ? [...aliases, name] : aliases
}
