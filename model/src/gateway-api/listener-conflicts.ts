import { bad, type Verdict } from './conditions.ts'
import { ANY_HOST } from './hostnames.ts'
import type { WrittenListener } from './listeners.ts'

/**
 * What keeps each listener from being told apart from others. Of listeners of one Gateway, or of one ListenerSet,
 * none wins; those of the Gateway come before those of ListenerSets, and those of an older one before a younger
 * one's.
 */
export function conflictsOf(written: readonly WrittenListener[]): (Verdict | undefined)[] {
  const found: (Verdict | undefined)[] = []
  for (const [at, one] of written.entries()) {
    const rivals = written.filter((other, index) => {
      if (other === one || !isSupported(other)) return false
      if (sameOwner(one, other)) return true
      return index < at && found[index] === undefined
    })
    found.push(isSupported(one) ? firstConflict(one, rivals) : undefined)
  }
  return found
}

type Family = 'http' | 'tls' | 'tcp'
const FAMILIES: Readonly<Record<string, Family>> = { HTTP: 'http', HTTPS: 'tls', TLS: 'tls', TCP: 'tcp' }

function isSupported({ listener }: WrittenListener): boolean {
  return FAMILIES[listener.protocol] !== undefined
}

function sameOwner({ owner: a }: WrittenListener, { owner: b }: WrittenListener): boolean {
  return a.kind === b.kind && a.namespace === b.namespace && a.name === b.name
}

function firstConflict(one: WrittenListener, rivals: readonly WrittenListener[]): Verdict | undefined {
  for (const rival of rivals) {
    const found = conflict(one, rival)
    if (found) return found
  }
  return undefined
}

function conflict({ listener, index }: WrittenListener, { listener: other, owner }: WrittenListener) {
  if (listener.port !== other.port) return undefined
  const path = `spec.listeners[${index}]`
  // Another namespace's names are not told.
  const name = owner.kind === 'Gateway' ? `listener ${other.name}` : 'another listener'
  if (FAMILIES[listener.protocol] !== FAMILIES[other.protocol])
    return bad(
      'ProtocolConflict',
      `port ${listener.port} is used with protocol ${other.protocol} by ${name}`,
      `${path}.protocol`,
    )
  const [host, taken] = [listener.hostname ?? ANY_HOST, other.hostname ?? ANY_HOST]
  if (host !== taken) return undefined
  return listener.protocol === other.protocol
    ? bad(
        'HostnameConflict',
        `${name} has the host ${host} at port ${listener.port} already`,
        `${path}.hostname`,
      )
    : bad(
        'ProtocolConflict',
        `${name} has the host ${host} at port ${listener.port} with protocol ${other.protocol}`,
        `${path}.protocol`,
      )
}
