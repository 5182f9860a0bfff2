import { rate } from '../format.ts'
import { Badge } from './parts.tsx'

/** Envoy's response flags that people meet, in words. */
const MEANING: Readonly<Record<string, string>> = {
  DC: 'the caller hung up',
  DI: 'delayed by an injected fault',
  FI: 'answered by an injected fault',
  LR: 'the connection was reset on this side',
  NC: 'the route leads to a cluster that is not there',
  NR: 'no route matches',
  RL: 'refused by a rate limit',
  UAEX: 'refused by policy',
  UC: 'the connection broke before there was an answer',
  UF: 'no connection could be made',
  UH: 'no healthy endpoint',
  UO: 'too many requests at once: the connection pool is full',
  UR: 'the receiver reset the connection',
  URX: 'all retries failed',
  UT: 'no answer in time',
}

/** Why requests went wrong, as the sidecars say: Envoy's flags, and what they mean. */
export function Flags({ flags }: { flags: Readonly<Record<string, number>> | undefined }) {
  const found = Object.entries(flags ?? {}).filter(([, perSecond]) => perSecond > 0)
  if (found.length === 0) return null
  return (
    <p className="flags">
      {found.map(([flag, perSecond]) => (
        <Badge key={flag} tone="warn">
          {flag} {rate(perSecond)} · {MEANING[flag] ?? 'see the access log'}
        </Badge>
      ))}
    </p>
  )
}
