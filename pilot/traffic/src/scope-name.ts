import type { ScopeKey } from './scope-key.ts'

/** A text that is the same for equal keys only. Another version of a Sidecar is another one. */
export function scopeName({
  namespace,
  sourceLabels,
  sidecar,
  locality,
  gateway,
  passesOn,
  clientCertificate,
  families,
  headers,
  network,
}: ScopeKey): string {
  return `${gateway ? `gateway ${JSON.stringify(clientCertificate)} ` : ''}${passesOn ? 'between networks ' : ''}${families} ${JSON.stringify(network)} ${namespace} ${locality} ${JSON.stringify(sourceLabels)} ${sidecar ? versionOf(sidecar) : ''} ${JSON.stringify(headers)}`
}

const versions = new WeakMap<object, number>()
let newest = 0

/** A number that no other object has. */
export function versionOf(object: object): number {
  const known = versions.get(object) ?? ++newest
  versions.set(object, known)
  return known
}
