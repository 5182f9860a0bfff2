import type {
  ApiProblem,
  ApiProxy,
  ApiProxyConfig,
  Graph,
  ResourceDetail,
  ResourceSummary,
  ServiceDetail,
  ServiceSummary,
  TimeSeries,
  Trace,
  TraceSummary,
  VersionInfo,
  WorkloadDetail,
  WorkloadSummary,
} from '@seine/insights/api-types'
import { keepPreviousData, type UseQueryResult, useQuery } from '@tanstack/react-query'

/** How often pages ask again without being told to, ms. */
const REFRESH_MS = 15_000

/** An answer of the hub that is no success, with its own words. */
export class HubError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

async function ask<T>(path: string): Promise<T> {
  const answer = await fetch(`/api/v1/${path}`)
  if (answer.ok) return (await answer.json()) as T
  const body: unknown = await answer.json().catch(() => undefined)
  const message =
    typeof body === 'object' && body !== null && 'error' in body
      ? String(body.error)
      : `the hub answered ${answer.status}`
  throw new HubError(answer.status, message)
}

function useHub<T>(
  path: string,
  refetchInterval: number | false = REFRESH_MS,
  options: { readonly keepPrevious?: boolean } = {},
): UseQueryResult<T> {
  return useQuery({
    queryKey: [path],
    queryFn: () => ask<T>(path),
    refetchInterval,
    // Another path is another thing: only where it is the same one seen differently, what was there stays.
    ...(options.keepPrevious ? { placeholderData: keepPreviousData } : {}),
    retry: (count, failure) => count < 1 && !(failure instanceof HubError && failure.status === 404),
  })
}

export const useVersion = () => useHub<VersionInfo>('version')
export const useGraph = (seconds: number) =>
  useHub<Graph>(`graph?window=${seconds}`, REFRESH_MS, { keepPrevious: true })
export const useServices = () => useHub<readonly ServiceSummary[]>('services')
export const useService = (hostname: string) =>
  useHub<ServiceDetail>(`services/${encodeURIComponent(hostname)}`)
export const useWorkloads = () => useHub<readonly WorkloadSummary[]>('workloads')
export const useWorkload = (namespace: string, pod: string) =>
  useHub<WorkloadDetail>(`workloads/${encodeURIComponent(namespace)}/${encodeURIComponent(pod)}`)
export const useTraces = () => useHub<readonly TraceSummary[]>('traces?limit=100')
export const useTrace = (id: string) => useHub<Trace>(`traces/${encodeURIComponent(id)}`, false)
export const useProxies = () => useHub<readonly ApiProxy[]>('proxies')
export const useProxyConfig = (id: string) =>
  useHub<ApiProxyConfig>(`proxies/${encodeURIComponent(id)}/config`, false)
export const useResources = () => useHub<readonly ResourceSummary[]>('resources')
/** `path`: the kind, the namespace if it has one, and the name. */
export const useResource = (path: readonly string[]) =>
  useHub<ResourceDetail>(`resources/${path.map(encodeURIComponent).join('/')}`)
export const useProblems = () => useHub<readonly ApiProblem[]>('problems')
export const useTimeSeries = (of: string) => useHub<TimeSeries>(`timeseries?${of}`)
