import { keyOf, type MeshResource } from '@seine/api'
import type { Problem } from '@seine/kit'
import { hasProxy, type Workload } from '@seine/model'
import type { ApiProblem } from './api-types.ts'
import type { Crashes } from './crashes.ts'
import type { HubProxy, HubProxyConfig } from './hub-inputs.ts'
import type { MeshIndex } from './mesh-index.ts'
import { podOf } from './proxies-view.ts'
import type { SidecarState } from './scraper.ts'
import type { TrafficStore } from './traffic-store.ts'

/** A problem for people, with the place it stands at. */
export function apiProblem(
  { severity, code, message, resource, path, position }: Problem,
  source: ApiProblem['source'],
): ApiProblem {
  return {
    source,
    severity,
    code,
    message,
    ...(resource ?? {}),
    ...(path ? { path } : {}),
    ...(position ?? {}),
  }
}

/** What the problems of sidecars are read from. */
export interface SidecarInputs {
  readonly index: MeshIndex
  /** Those that are connected to pilot; undefined where that is not known. */
  readonly proxies: readonly HubProxy[] | undefined
  readonly stateOf: (pod: string) => SidecarState | undefined
  readonly crashes: Crashes
  readonly now: number
}

/** What is wrong with sidecars themselves: not ready, not connected, without a good certificate, unreadable, crashed. */
export function sidecarProblems({ index, proxies, stateOf, crashes, now }: SidecarInputs): Problem[] {
  const connected = proxies && new Set(proxies.map(podOf))
  const found = crashes.problems(now)
  for (const [pod, workload] of index.snapshot.workloads) {
    if (!hasProxy(workload)) continue
    found.push(...workloadProblems(workload, stateOf(pod), connected?.has(pod) ?? true))
  }
  return found
}

function workloadProblems(
  { ready, ref }: Workload,
  state: SidecarState | undefined,
  isConnected: boolean,
): Problem[] {
  const problem = (severity: Problem['severity'], code: string, message: string): Problem => ({
    severity,
    code,
    message,
    resource: ref,
  })
  const found: Problem[] = []
  if (!ready) {
    const reason =
      state?.waitsFor ?? (state?.error ? `its sidecar can't be asked: ${state.error}` : undefined)
    found.push(
      problem('warning', 'not-ready', `it gets no calls, for it is not ready${reason ? `: ${reason}` : ''}`),
    )
  } else {
    if (!isConnected)
      found.push(
        problem(
          'warning',
          'proxy-not-connected',
          "its sidecar is not connected to pilot: it goes on with its last configuration and gets no changes; the agent's log says why",
        ),
      )
    if (state?.error)
      found.push(problem('warning', 'metrics-unreadable', `its figures are missing: ${state.error}`))
  }
  return [...found, ...certificateProblems(state, problem)]
}

function certificateProblems(
  state: SidecarState | undefined,
  problem: (severity: Problem['severity'], code: string, message: string) => Problem,
): Problem[] {
  if (!state?.isRead) return []
  const { certificate, waitsFor } = state
  if (!certificate) {
    const reason = waitsFor ?? "the agent's log says why"
    return [problem('error', 'no-certificate', `its sidecar has no certificate: ${reason}`)]
  }
  const ends = new Date(certificate.notAfter).toISOString()
  if (certificate.state === 'expired')
    return [
      problem('error', 'certificate-expired', `its certificate ended at ${ends}: calls by mutual TLS fail`),
    ]
  if (certificate.state === 'overdue')
    return [
      problem(
        'warning',
        'certificate-expiring',
        `its certificate ends at ${ends} and should have been renewed by now; the agent's log says why`,
      ),
    ]
  return []
}

/** What the hub itself lacks: room for all figures; an answer of pilot, which is `away` with a reason. */
export function hubProblems(store: TrafficStore, away: string | undefined): Problem[] {
  const found: Problem[] = []
  if (away !== undefined)
    found.push({
      severity: 'error',
      code: 'pilot-away',
      message: `what is shown of proxies and problems is what pilot told last: ${away}`,
    })
  if (store.refused > 0)
    found.push({
      severity: 'warning',
      code: 'too-many-kinds-of-calls',
      message: `some calls are missing in the figures: there are more kinds of calls than the ${store.seriesCount} that are kept`,
    })
  return found
}

/** What rejections are read from. */
export interface RejectionInputs {
  readonly proxies: readonly HubProxy[]
  readonly resources: ReadonlyMap<string, MeshResource>
  readonly proxyConfig: (id: string) => Promise<HubProxyConfig | undefined>
}

/** The sections of a proxy's configuration by the type that it acknowledges. */
const SECTIONS: Readonly<Record<string, keyof HubProxyConfig>> = {
  LDS: 'listeners',
  RDS: 'routes',
  VHDS: 'routes',
  CDS: 'clusters',
  EDS: 'endpoints',
  ECDS: 'extensions',
}

interface Rejection {
  readonly proxy: HubProxy
  readonly type: string
  readonly message: string
  readonly names: readonly string[]
}

/**
 * What Envoys rejected, once for each reason however many proxies give it, with the object that the rejected
 * resource came from.
 */
export async function rejectionProblems(inputs: RejectionInputs): Promise<Problem[]> {
  const byReason = new Map<string, Rejection[]>()
  for (const proxy of inputs.proxies)
    for (const [type, { nack }] of Object.entries(proxy.types)) {
      if (!nack) continue
      const key = JSON.stringify([type, nack.message, nack.resources])
      const rejection = { proxy, type, message: nack.message, names: nack.resources }
      byReason.set(key, [...(byReason.get(key) ?? []), rejection])
    }
  return Promise.all([...byReason.values()].map(rejections => rejectionProblem(rejections, inputs)))
}

async function rejectionProblem(rejections: readonly Rejection[], inputs: RejectionInputs): Promise<Problem> {
  const [first] = rejections
  if (!first) throw new Error('a group of rejections holds at least one')
  const { type, message, names, proxy } = first
  const whose =
    rejections.length === 1
      ? `Envoy of ${podOf(proxy)}`
      : `${rejections.length} Envoys, ${podOf(proxy)} among them,`
  const cause = await causeOf(first, inputs)
  return {
    severity: 'error',
    code: 'rejected-by-envoy',
    message: `${whose} rejected ${type} ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}: ${message}; what was in force before stays`,
    ...cause,
  }
}

/** The object, field and place that the first rejected resource came from; a proxy's own pod where none is known. */
async function causeOf(
  { proxy, type, names }: Rejection,
  { resources, proxyConfig }: RejectionInputs,
): Promise<Pick<Problem, 'resource' | 'path' | 'position'>> {
  const section = SECTIONS[type]
  const config = section ? await proxyConfig(proxy.id) : undefined
  const rejected = section && config?.[section].find(({ name }) => names.includes(name))
  // The declaration of a service stands behind most resources; what was written about it is the likelier cause.
  const provenance = rejected ? rejected.provenance : []
  const cause = provenance.find(({ kind }) => kind !== 'Service') ?? provenance[0]
  if (!cause) {
    const [namespace = '', name = ''] = podOf(proxy).split('/')
    return { resource: { kind: 'Pod', namespace, name } }
  }
  const { kind, namespace, name, path } = cause
  const origin = resources.get(keyOf(cause))?.origin
  return {
    resource: { kind, namespace, name },
    ...(path ? { path } : {}),
    ...(origin ? { position: path ? origin.locate(path) : { file: origin.file, line: origin.line } } : {}),
  }
}
