import type { TimePoint } from '@seine/insights/api-types'
import type { CSSProperties } from 'react'
import {
  Area,
  AreaChart,
  CartesianGrid,
  Line,
  LineChart,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from 'recharts'
import { useTimeSeries } from '../api.ts'
import { clockTime, latency, rate } from '../format.ts'
import { Empty, Loaded } from './states.tsx'

const AXIS = {
  stroke: 'var(--line-strong)',
  tick: { fill: 'var(--text-muted)', fontSize: 11 },
  tickLine: false,
  axisLine: false,
} as const

/** What requests came to, the failures first: they stand on the axis, where they are seen. */
const CLASSES = [
  { key: 'none', name: 'no answer', colour: 'var(--bad-strong)' },
  { key: '5xx', name: '5xx', colour: 'var(--bad)' },
  { key: '4xx', name: '4xx', colour: 'var(--warn)' },
  { key: '3xx', name: '3xx', colour: 'var(--text-muted)' },
  { key: '2xx', name: '2xx', colour: 'var(--accent)' },
  { key: 'tcp', name: 'TCP', colour: 'var(--accent)' },
] as const

type Class = (typeof CLASSES)[number]['key']

/** A point's rates by class, with nothing where there is nothing. */
function byClass({ responses, tcp }: TimePoint): Partial<Record<Class, number>> {
  const zero = { none: 0, '5xx': 0, '4xx': 0, '3xx': 0, '2xx': 0 }
  const http = responses ? { ...zero, ...responses } : {}
  return tcp && tcp.connections > 0 ? { ...http, tcp: tcp.connections } : http
}

/** Rate by what it came to, and latency, over the last quarter of an hour. */
export function TrafficCharts({ of }: { of: string }) {
  const query = useTimeSeries(of)
  return (
    <Loaded query={query}>
      {({ points }) => {
        if (points.length < 2)
          return (
            <Empty title="No traffic yet">
              The charts fill as calls arrive; metrics are read every 5 seconds.
            </Empty>
          )
        const data = points.map(point => ({
          at: point.at,
          p50: point.p50,
          p99: point.p99,
          ...byClass(point),
        }))
        const shown = CLASSES.filter(({ key }) => data.some(point => (point[key] ?? 0) > 0))
        return (
          <div className="charts">
            <figure>
              <figcaption>
                {shown.some(({ key }) => key === 'tcp') ? 'Connections' : 'Requests'} per second
                {shown.map(({ key, name, colour }) => (
                  <span key={key} className="key" style={{ '--key': colour } as CSSProperties}>
                    {name}
                  </span>
                ))}
              </figcaption>
              <ResponsiveContainer width="100%" height={180}>
                <AreaChart data={data} margin={{ top: 8, right: 8, left: -12, bottom: 0 }}>
                  <CartesianGrid vertical={false} stroke="var(--line)" />
                  <XAxis dataKey="at" tickFormatter={clockTime} minTickGap={56} {...AXIS} />
                  <YAxis tickFormatter={(value: number) => rate(value).replace('/s', '')} {...AXIS} />
                  <Tooltip
                    labelFormatter={label => clockTime(Number(label))}
                    formatter={value => rate(Number(value))}
                    contentStyle={TOOLTIP}
                  />
                  {shown.map(({ key, name, colour }) => (
                    <Area
                      key={key}
                      isAnimationActive={false}
                      type="monotone"
                      dataKey={key}
                      name={name}
                      stackId="1"
                      stroke={colour}
                      fill={colour}
                      fillOpacity={0.16}
                      strokeWidth={1.75}
                    />
                  ))}
                </AreaChart>
              </ResponsiveContainer>
            </figure>
            {data.some(({ p50 }) => p50 !== undefined) ? (
              <figure>
                <figcaption>
                  Latency <span className="key">p50</span> <span className="key warn">p99</span>
                </figcaption>
                <ResponsiveContainer width="100%" height={180}>
                  <LineChart data={data} margin={{ top: 8, right: 8, left: -4, bottom: 0 }}>
                    <CartesianGrid vertical={false} stroke="var(--line)" />
                    <XAxis dataKey="at" tickFormatter={clockTime} minTickGap={56} {...AXIS} />
                    <YAxis tickFormatter={(value: number) => latency(value)} {...AXIS} />
                    <Tooltip
                      labelFormatter={label => clockTime(Number(label))}
                      formatter={value => latency(Number(value))}
                      contentStyle={TOOLTIP}
                    />
                    <Line
                      isAnimationActive={false}
                      type="monotone"
                      dataKey="p50"
                      stroke="var(--accent)"
                      dot={false}
                      connectNulls
                      strokeWidth={1.75}
                    />
                    <Line
                      isAnimationActive={false}
                      type="monotone"
                      dataKey="p99"
                      stroke="var(--warn)"
                      dot={false}
                      connectNulls
                      strokeWidth={1.75}
                    />
                  </LineChart>
                </ResponsiveContainer>
              </figure>
            ) : null}
          </div>
        )
      }}
    </Loaded>
  )
}

const TOOLTIP = {
  background: 'var(--surface)',
  border: '1px solid var(--line)',
  borderRadius: 8,
  fontSize: 12,
  color: 'var(--text)',
}
