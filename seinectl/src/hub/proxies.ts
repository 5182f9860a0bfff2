import { basename } from 'node:path'
import { ask } from './client.ts'
import { asList, at, isObject, textAt } from './json.ts'

/** One connected proxy, as `GET /api/v1/proxies` lists it. */
export interface ProxyListing {
  readonly id: string
  readonly workload: string
  readonly namespace: string
  /** The pod's name, from the node id. */
  readonly name: string
  readonly ip: string
  readonly connectedAt: number | undefined
  readonly types: readonly TypeState[]
  /** As the hub gave it, for `-o json`. */
  readonly raw: unknown
}

/** How far one resource type has come at a proxy. */
export interface TypeState {
  readonly type: string
  readonly state: string
  /** How many resources the proxy has. */
  readonly resources: number | undefined
  readonly nack: string | undefined
}

type Listed =
  | { readonly ok: true; readonly value: readonly ProxyListing[] }
  | { readonly ok: false; readonly error: string }

/** The proxies that are connected to seined, by namespace and name. */
export async function listProxies(server: string): Promise<Listed> {
  const answer = await ask(server, '/api/v1/proxies')
  if (!answer.ok) return answer
  const list = Array.isArray(answer.value) ? answer.value : at(answer.value, 'proxies')
  if (!Array.isArray(list))
    return { ok: false, error: `${server}/api/v1/proxies answers with something else than a list of proxies` }
  const proxies = list.filter(isObject).map(readProxy)
  const key = (proxy: ProxyListing) => `${proxy.namespace}/${proxy.name}`
  return { ok: true, value: proxies.sort((a, b) => (key(a) < key(b) ? -1 : 1)) }
}

function readProxy(value: unknown): ProxyListing {
  const id = textAt(value, 'id')
  const fullName = id.split('~')[2] ?? ''
  const dot = fullName.lastIndexOf('.')
  const connectedAt = at(value, 'connectedAt')
  return {
    id,
    workload: textAt(value, 'workload') || fullName.slice(0, Math.max(dot, 0)),
    namespace: textAt(value, 'namespace') || fullName.slice(dot + 1),
    name: dot > 0 ? fullName.slice(0, dot) : textAt(value, 'workload'),
    ip: textAt(value, 'ip') || (id.split('~')[1] ?? ''),
    connectedAt: typeof connectedAt === 'number' ? connectedAt : undefined,
    types: Object.entries(at(value, 'types') ?? {}).map(([type, state]) => readState(type, state)),
    raw: value,
  }
}

function readState(type: string, value: unknown): TypeState {
  const resources = at(value, 'resources')
  return {
    type,
    state: textAt(value, 'state') || 'UNKNOWN',
    resources: typeof resources === 'number' ? resources : undefined,
    nack: textAt(value, 'nack', 'message') || undefined,
  }
}

/**
 * The proxies that a person means by `reviews-v1`, `reviews-v1.shop`, or a pod's name: all pods of a
 * workload, in any namespace unless one is named.
 */
export function matchProxies(proxies: readonly ProxyListing[], word: string): readonly ProxyListing[] {
  const named = proxies.filter(proxy => proxy.id === word || isNamed(proxy, word, undefined))
  if (named.length > 0) return named
  const dot = word.lastIndexOf('.')
  return dot > 0 ? proxies.filter(proxy => isNamed(proxy, word.slice(0, dot), word.slice(dot + 1))) : []
}

function isNamed(proxy: ProxyListing, name: string, namespace: string | undefined): boolean {
  return (
    (proxy.workload === name || proxy.name === name) &&
    (namespace === undefined || proxy.namespace === namespace)
  )
}

/** One resource of a proxy's configuration, with what shaped it. */
export interface ConfigResource {
  readonly name: string
  readonly provenance: string
  readonly config: unknown
}

/** Reads one section of `GET /api/v1/proxies/:id/config`. */
export function readResources(answer: unknown, section: string): readonly ConfigResource[] {
  return asList(at(answer, section)).map(value => ({
    name: textAt(value, 'name'),
    provenance: provenanceText(asList(at(value, 'provenance'))),
    config: at(value, 'config'),
  }))
}

/** `VirtualService shop/reviews (routes.yaml:12)` for the first cause, and how many more there are. */
function provenanceText(causes: readonly unknown[]): string {
  const [first, ...others] = [...new Set(causes.map(causeText))]
  if (first === undefined) return ''
  return others.length > 0 ? `${first} +${others.length}` : first
}

function causeText(cause: unknown): string {
  const [kind, namespace, name] = [textAt(cause, 'kind'), textAt(cause, 'namespace'), textAt(cause, 'name')]
  const [file, line] = [textAt(cause, 'file'), textAt(cause, 'line')]
  const place = file === '' ? '' : ` (${basename(file)}:${line})`
  return `${kind} ${namespace === '' ? name : `${namespace}/${name}`}${place}`
}
