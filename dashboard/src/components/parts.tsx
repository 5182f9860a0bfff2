import type { ApiTypeStatus, ConfigRef, GraphEdge, TrafficFigures } from '@seine/insights/api-types'
import { Link } from '@tanstack/react-router'
import { Lock, LockOpen, ShieldQuestion } from 'lucide-react'
import type { ReactNode } from 'react'
import { stringify } from 'yaml'
import { byteRate, latency, percent, rate, resourcePath, shortPath } from '../format.ts'

/** The head of a page: its name, what it is about, and what can be chosen. */
export function PageHead({
  title,
  sub,
  children,
}: {
  title: ReactNode
  sub?: ReactNode
  children?: ReactNode
}) {
  return (
    <header className="page-head">
      <div>
        <h1>{title}</h1>
        {sub === undefined ? null : <div className="sub">{sub}</div>}
      </div>
      <div className="page-tools">{children}</div>
    </header>
  )
}

/** A titled part of a page. */
export function Section({ title, children, hint }: { title: string; children: ReactNode; hint?: ReactNode }) {
  return (
    <section className="section">
      <div className="section-head">
        <h2>{title}</h2>
        {hint ? <span className="hint">{hint}</span> : null}
      </div>
      {children}
    </section>
  )
}

type Tone = 'good' | 'bad' | 'warn' | 'muted'

/** A word with a colour, never a colour alone. */
export function Badge({ tone, children }: { tone: Tone; children: ReactNode }) {
  return <span className={`badge ${tone}`}>{children}</span>
}

const SYNC_TONE: Readonly<Record<string, Tone>> = {
  SYNCED: 'good',
  STALE: 'warn',
  NACKED: 'bad',
  'NOT CONNECTED': 'bad',
  NONE: 'muted',
  'NOT SENT': 'muted',
}

const SEVERITY_TONE = { error: 'bad', warning: 'warn', info: 'muted' } as const

/** How many problems something has, in the colour of the worst; nothing where there are none. */
export function ProblemBadge({
  count,
  worst = 'error',
  noun = 'problem',
}: {
  count: number
  worst?: keyof typeof SEVERITY_TONE | undefined
  /** What is counted, in the singular. */
  noun?: string
}) {
  if (count === 0) return null
  return (
    <Badge tone={SEVERITY_TONE[worst]}>
      {count} {noun}
      {count > 1 && noun !== 'info' ? 's' : ''}
    </Badge>
  )
}

/** What a proxy has acknowledged, in Istio's words. */
export function SyncBadge({ state }: { state: ApiTypeStatus['state'] | 'NOT CONNECTED' | 'NONE' }) {
  return (
    <Badge tone={SYNC_TONE[state] ?? 'muted'}>{state === 'NONE' ? 'no sidecar' : state.toLowerCase()}</Badge>
  )
}

/** Whether calls were measured to be encrypted. */
export function Security({ security, label = true }: { security: GraphEdge['security']; label?: boolean }) {
  const size = 13
  if (security === 'mutual_tls')
    return (
      <span className="security good" title="mutual TLS, measured by the receiving side">
        <Lock size={size} aria-hidden />
        {label ? 'mTLS' : ''}
      </span>
    )
  if (security === 'none')
    return (
      <span className="security bad" title="plaintext, measured by the receiving side">
        <LockOpen size={size} aria-hidden />
        {label ? 'plaintext' : ''}
      </span>
    )
  if (security === 'mixed')
    return (
      <span className="security warn" title="some calls were plaintext">
        <LockOpen size={size} aria-hidden />
        {label ? 'mixed' : ''}
      </span>
    )
  return (
    <span className="security muted" title="the receiving side has no sidecar to measure it">
      <ShieldQuestion size={size} aria-hidden />
      {label ? 'unmeasured' : ''}
    </span>
  )
}

/** Rate, errors and latency in one row. */
export function Figures({ traffic }: { traffic: TrafficFigures }) {
  return (
    <dl className="figures">
      <div>
        <dt>Rate</dt>
        <dd>{rate(traffic.rate)}</dd>
      </div>
      <div>
        <dt>Errors</dt>
        <dd className={traffic.errorRate > 0.05 ? 'bad-text' : undefined}>{percent(traffic.errorRate)}</dd>
      </div>
      {traffic.tcp && traffic.p50 === undefined ? (
        <>
          <div>
            <dt>Open</dt>
            <dd>{Math.round(traffic.tcp.open)}</dd>
          </div>
          <div>
            <dt>Out, in</dt>
            <dd>
              {byteRate(traffic.tcp.sentBytes)}, {byteRate(traffic.tcp.receivedBytes)}
            </dd>
          </div>
        </>
      ) : (
        <>
          <div>
            <dt>p50</dt>
            <dd>{latency(traffic.p50)}</dd>
          </div>
          <div>
            <dt>p99</dt>
            <dd>{latency(traffic.p99)}</dd>
          </div>
        </>
      )}
    </dl>
  )
}

/** Why an object has to do with what the page is about. */
function Reasons({ config }: { config: ConfigRef }) {
  if (!config.reasons?.length) return null
  return (
    <ul className="reasons">
      {config.reasons.map(({ message, path, line }) => (
        <li key={`${path}${message}`}>
          {message}
          {path ? <code>{path}</code> : null}
          {line === undefined ? null : <span className="quiet mono">line {line}</span>}
        </li>
      ))}
    </ul>
  )
}

/** The configuration objects that shape something, each with the file and line it stands at, and its YAML on demand. */
export function ConfigList({ config }: { config: readonly ConfigRef[] }) {
  if (config.length === 0) return <p className="quiet">Nothing but the mesh's defaults applies.</p>
  return (
    <ul className="config-list">
      {config.map(one => (
        <li key={`${one.kind}/${one.namespace}/${one.name}`}>
          <details>
            <summary>
              <span className="kind">{one.kind}</span>{' '}
              <span className="mono">
                {one.namespace ? `${one.namespace}/` : ''}
                {one.name}
              </span>
              {one.file ? (
                <span className="place mono" title={one.file}>
                  {shortPath(one.file)}:{one.line}
                </span>
              ) : null}
            </summary>
            <Reasons config={one} />
            <p>
              <Link to={resourcePath(one)}>Everything about it</Link>
            </p>
            <pre className="code">{stringify(one.yaml)}</pre>
          </details>
        </li>
      ))}
    </ul>
  )
}
