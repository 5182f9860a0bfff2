import type { TraceSpan, TraceSummary } from '@seine/insights/api-types'
import { useParams } from '@tanstack/react-router'
import { useState } from 'react'
import { useTrace, useTraces } from '../api.ts'
import { ListPage } from '../components/list-page.tsx'
import { Badge, PageHead } from '../components/parts.tsx'
import { Loaded } from '../components/states.tsx'
import type { Column } from '../components/table.tsx'
import { clockTime, latency } from '../format.ts'

const COLUMNS: readonly Column<TraceSummary>[] = [
  {
    title: 'Started',
    sort: row => row.startedAt,
    cell: row => <span className="mono quiet">{clockTime(row.startedAt)}</span>,
  },
  {
    title: 'Operation',
    sort: row => row.operation,
    cell: row => (
      <>
        <strong>{row.root}</strong> <span className="mono">{row.operation}</span>{' '}
        {row.error ? <Badge tone="bad">error</Badge> : null}
      </>
    ),
  },
  {
    title: 'Services',
    numeric: true,
    sort: row => row.services.length,
    cell: row => row.services.length,
    wide: true,
  },
  { title: 'Spans', numeric: true, sort: row => row.spans, cell: row => row.spans },
  { title: 'Duration', numeric: true, sort: row => row.durationMs, cell: row => latency(row.durationMs) },
]

/** Recent traces. */
export function TracesPage() {
  return (
    <ListPage
      title="Traces"
      sub="The newest hundred; sidecars send spans, applications only forward headers"
      query={useTraces()}
      text={row => `${row.root} ${row.operation} ${row.services.join(' ')}`}
      none="No traces yet"
      noMatch="No trace matches"
      advice="Traces appear as requests pass through sidecars."
      columns={COLUMNS}
      rowKey={row => row.id}
      testId={() => 'trace-row'}
      to={row => `/traces/${row.id}`}
    />
  )
}

/** One trace as a waterfall. */
export function TracePage() {
  const { id } = useParams({ from: '/traces/$id' })
  const query = useTrace(id)
  const [open, setOpen] = useState<string>()
  return (
    <Loaded query={query}>
      {trace => (
        <>
          <PageHead
            title={trace.operation || trace.root}
            sub={
              <span className="mono">
                {trace.id} · {clockTime(trace.startedAt)} · {latency(trace.durationMs)} · {trace.spans} spans
                in {trace.services.length} services
              </span>
            }
          />
          <div className="ruler" aria-hidden>
            <span />
            <span className="ticks">
              {[0, 0.25, 0.5, 0.75, 1].map(part => (
                <span key={part} style={{ left: `${part * 100}%` }}>
                  {latency(part * trace.durationMs)}
                </span>
              ))}
            </span>
          </div>
          <ol className="waterfall" data-testid="waterfall">
            {trace.spanList.map(span => (
              <Span
                key={`${span.id}${span.kind}`}
                span={span}
                total={trace.durationMs}
                open={open === span.id + span.kind}
                onToggle={() => setOpen(open === span.id + span.kind ? undefined : span.id + span.kind)}
              />
            ))}
          </ol>
        </>
      )}
    </Loaded>
  )
}

function Span({
  span,
  total,
  open,
  onToggle,
}: {
  span: TraceSpan
  total: number
  open: boolean
  onToggle: () => void
}) {
  const left = (span.startMs / total) * 100
  const width = Math.max(0.4, (span.durationMs / total) * 100)
  // After the bar, or before it, or in it: wherever there is room.
  const place = left + width < 90 ? 'after' : left > 12 ? 'before' : 'inside'
  const status = span.attributes['http.status_code'] ?? span.attributes['http.response.status_code']
  return (
    <li>
      <button type="button" className="span-row" onClick={onToggle} aria-expanded={open}>
        <span className="span-name" style={{ paddingLeft: span.depth * 14 }}>
          <strong>{span.service}</strong> <span className="quiet">{span.kind}</span>
          {status ? <span className={span.error ? 'span-code bad-text' : 'span-code'}>{status}</span> : null}
        </span>
        <span className="span-lane">
          <span
            className={`span-bar ${span.kind} ${span.error ? 'error' : ''}`}
            style={{ left: `${left}%`, width: `${width}%` }}
          />
          <span
            className={`span-time ${place}`}
            style={
              place === 'after'
                ? { left: `${left + width + 0.6}%` }
                : { right: `${100 - left + (place === 'before' ? 0.6 : -width + 0.6)}%` }
            }
          >
            {latency(span.durationMs)}
          </span>
        </span>
      </button>
      {open ? (
        <dl className="span-detail">
          <div>
            <dt>name</dt>
            <dd className="mono">{span.name}</dd>
          </div>
          {Object.entries(span.attributes).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd className="mono break">{value}</dd>
            </div>
          ))}
        </dl>
      ) : null}
    </li>
  )
}
