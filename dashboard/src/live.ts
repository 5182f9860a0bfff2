import type { HubEvent } from '@seine/insights/api-types'
import { type QueryClient, useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'

/** What an event makes old: the first word of the paths that the hub is asked. */
const MAKES_OLD: Readonly<Record<HubEvent['type'], readonly string[]>> = {
  scrape: ['version', 'graph', 'services', 'workloads', 'timeseries', 'traces'],
  config: ['version', 'problems', 'services', 'workloads', 'graph'],
  proxies: ['proxies', 'workloads', 'problems'],
}

/** Asks again for what the hub says has changed, as it says so. Pages ask by themselves now and then as well. */
export function useLiveUpdates(): void {
  const queries = useQueryClient()
  useEffect(() => {
    const events = new EventSource('/api/v1/events')
    events.onmessage = ({ data }: MessageEvent<string>) => refresh(queries, JSON.parse(data) as HubEvent)
    return () => events.close()
  }, [queries])
}

function refresh(queries: QueryClient, { type }: HubEvent): void {
  const old = MAKES_OLD[type]
  void queries.invalidateQueries({
    predicate: ({ queryKey: [path] }) => old.includes(String(path).split(/[/?]/, 1)[0] ?? ''),
  })
}
