import type { UseQueryResult } from '@tanstack/react-query'
import { CircleAlert, Inbox } from 'lucide-react'
import type { ReactNode } from 'react'

/** Shown while the first answer is under way. */
export function Loading() {
  return (
    <div className="loading" role="status" aria-label="Loading">
      {[72, 94, 60, 82].map(width => (
        <div key={width} className="skeleton" style={{ width: `${width}%` }} />
      ))}
    </div>
  )
}

/** Shown where there is nothing yet, with what to do about it. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty" data-testid="empty">
      <Inbox size={28} strokeWidth={1.5} aria-hidden />
      <h2>{title}</h2>
      <p>{children}</p>
    </div>
  )
}

/** Shown when the hub can't answer and nothing is known. */
export function Failure({ error }: { error: Error }) {
  return (
    <div className="empty failure" role="alert" data-testid="failure">
      <CircleAlert size={28} strokeWidth={1.5} aria-hidden />
      <h2>This could not be loaded</h2>
      <p>{error.message}</p>
    </div>
  )
}

/** The three states of a query before there is data, and its content after. */
export function Loaded<T>({
  query,
  children,
}: {
  query: UseQueryResult<T>
  children: (data: T) => ReactNode
}) {
  if (query.data !== undefined) return <>{children(query.data)}</>
  if (query.error) return <Failure error={query.error} />
  return <Loading />
}
