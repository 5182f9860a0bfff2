import type { TrafficFigures } from '@seine/insights/api-types'
import { latency, percent, rate } from '../format.ts'
import type { Column } from './table.tsx'

/** Above this share of failures a figure is shown in red. */
const FAILING = 0.05

type Name = 'rate' | 'errors' | 'p50' | 'p99'

/** Columns for the traffic of rows, in the order of `names`. */
export function trafficColumns<T extends { readonly traffic: TrafficFigures }>(
  names: readonly Name[],
  rateTitle = 'Rate',
): readonly Column<T>[] {
  const columns: Readonly<Record<Name, Column<T>>> = {
    rate: {
      title: rateTitle,
      numeric: true,
      sort: row => row.traffic.rate,
      cell: row => rate(row.traffic.rate),
    },
    errors: {
      title: 'Errors',
      numeric: true,
      sort: row => row.traffic.errorRate,
      cell: row => (
        <span className={row.traffic.errorRate > FAILING ? 'bad-text' : undefined}>
          {percent(row.traffic.errorRate)}
        </span>
      ),
    },
    p50: {
      title: 'p50',
      numeric: true,
      wide: true,
      sort: row => row.traffic.p50 ?? -1,
      cell: row => latency(row.traffic.p50),
    },
    p99: {
      title: 'p99',
      numeric: true,
      sort: row => row.traffic.p99 ?? -1,
      cell: row => latency(row.traffic.p99),
    },
  }
  return names.map(name => columns[name])
}
