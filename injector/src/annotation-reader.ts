import {
  canonicalCidr,
  canonicalIp,
  type ObjectMeta,
  type OwnProxySettings,
  parseProxyConfigAnnotation,
} from '@seine/api'
import type { Problem } from '@seine/kit'

export const TRAFFIC = 'traffic.sidecar.istio.io'
export const SIDECAR = 'sidecar.istio.io'
const INVALID = 'IST0125'
const UNKNOWN = 'IST0108'
/** Prefixes of annotations that are about the sidecar. */
const OURS = [
  TRAFFIC,
  SIDECAR,
  'status.sidecar.istio.io',
  'readiness.status.sidecar.istio.io',
  'proxy.istio.io',
  'inject.istio.io',
  'prometheus.istio.io',
]
/** Ones without such a prefix of their own. */
const OTHERS = ['istio.io/reroute-virtual-interfaces']

/** Annotations of Istio's that nothing here does, and why not, or what to write instead. */
export const REFUSED_ANNOTATIONS: Readonly<Record<string, string>> = {
  'sidecar.istio.io/bootstrapOverride': 'use an EnvoyFilter with applyTo BOOTSTRAP',
  'sidecar.istio.io/extraStatTags': 'tags are not taken from the names of statistics here: remove it',
  'sidecar.istio.io/statsHistogramBins': 'give the bounds by sidecar.istio.io/statsHistogramBuckets',
  'readiness.status.sidecar.istio.io/applicationPorts': "the application's own probe tells: remove it",
  'traffic.sidecar.istio.io/kubevirtInterfaces': 'nothing is captured for virtual machines inside of pods',
  'istio.io/reroute-virtual-interfaces': 'nothing is captured for virtual machines inside of pods',
  'proxy.istio.io/overrides': 'injection keeps no record of what it overrode: remove it',
}

/** Reads annotations one by one and keeps account of what is wrong with them, and of which were never read. */
export class AnnotationReader {
  readonly problems: Problem[] = []
  readonly #metadata: ObjectMeta
  readonly #read = new Set<string>()

  constructor(metadata: ObjectMeta) {
    this.#metadata = metadata
  }

  text(name: string): string | undefined {
    this.#read.add(name)
    return this.#metadata.annotations[name]?.trim()
  }

  /** Whether a list means everything: when it is `*`, or not given. Given but empty it means nothing. */
  isAll(name: string): boolean {
    const text = this.text(name)
    return text === undefined || text === '*'
  }

  list(name: string, valid: (part: string) => boolean, wanted: string): string[] {
    const parts = (this.text(name) ?? '').split(',').map(part => part.trim())
    const given = parts.filter(part => part !== '')
    for (const part of given) if (!valid(part)) this.complain(name, `"${part}" is not ${wanted}`)
    return given
  }

  checked(name: string, valid: (text: string) => boolean, wanted: string): string | undefined {
    const text = this.text(name)
    if (text === undefined || valid(text)) return text
    this.complain(name, `"${text}" is not ${wanted}`)
    return undefined
  }

  proxyConfig(name: string): OwnProxySettings {
    this.#read.add(name)
    const read = parseProxyConfigAnnotation(this.#metadata.annotations[name] ?? '')
    if (read.ok) return read.value
    for (const message of read.error) this.complain(name, message)
    return {}
  }

  oneOf(name: string, values: readonly string[]): string | undefined {
    return this.checked(name, text => values.includes(text), values.join(' or '))
  }

  /** A value that says what happens anyway, and why there is no other. */
  only(name: string, value: string, reason: string): void {
    const text = this.text(name)
    if (text !== undefined && text !== value) this.complain(name, `must be ${value}: ${reason}`)
  }

  /** JSON of a form; `read` makes of it what is wanted, or undefined where it is another. */
  json<T>(name: string, read: (value: unknown) => T | undefined, wanted: string): T | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = readJson(text)
    const found = value === undefined ? undefined : read(value)
    if (found === undefined) this.complain(name, `must be ${wanted}`)
    return found
  }

  /** What is about the sidecar and nothing here knows. */
  unread(): Problem[] {
    const unread = Object.keys(this.#metadata.annotations).filter(
      name =>
        !this.#read.has(name) &&
        (OTHERS.includes(name) || OURS.some(prefix => name.startsWith(`${prefix}/`))),
    )
    return unread.map(name => {
      const reason = REFUSED_ANNOTATIONS[name]
      const message = reason
        ? `is not supported: ${reason}`
        : 'is not supported: remove it, as it would have no effect'
      return this.#problem(name, UNKNOWN, message)
    })
  }

  complain(name: string, message: string): void {
    this.problems.push(this.#problem(name, INVALID, message))
  }

  #problem(name: string, code: string, message: string): Problem {
    const { namespace, name: pod } = this.#metadata
    return {
      severity: 'error',
      code,
      message,
      path: `metadata.annotations["${name}"]`,
      resource: { kind: 'Pod', namespace, name: pod },
    }
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function isPort(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535
}

export function isRange(text: string): boolean {
  return canonicalIp(text) !== undefined || canonicalCidr(text) !== undefined
}
