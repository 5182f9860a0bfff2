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

/** Rate and errors, and latency, over the last quarter of an hour. */
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
        const data = points.map(({ at, rate: all, errorRate, p50, p99 }) => ({
          at,
          ok: all * (1 - errorRate),
          failed: all * errorRate,
          p50,
          p99,
        }))
        const anyFailed = data.some(({ failed }) => failed > 0)
        return (
          <div className="charts">
            <figure>
              <figcaption>
                Requests per second <span className="key good">succeeded</span>{' '}
                <span className="key bad">failed</span>
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
                  {anyFailed ? (
                    <Area
                      isAnimationActive={false}
                      type="monotone"
                      dataKey="failed"
                      stackId="1"
                      stroke="var(--bad)"
                      fill="var(--bad)"
                      fillOpacity={0.25}
                      strokeWidth={1.75}
                    />
                  ) : null}
                  <Area
                    isAnimationActive={false}
                    type="monotone"
                    dataKey="ok"
                    name="succeeded"
                    stackId="1"
                    stroke="var(--accent)"
                    fill="var(--accent-soft)"
                    strokeWidth={1.75}
                  />
                </AreaChart>
              </ResponsiveContainer>
            </figure>
            <figure>
              <figcaption>
                Latency <span className="key accent">p50</span> <span className="key warn">p99</span>
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
