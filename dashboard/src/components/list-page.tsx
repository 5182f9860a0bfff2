import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { useFilter } from '../search.ts'
import { PageHead } from './parts.tsx'
import { Empty, Loaded } from './states.tsx'
import { Table, type TableProps } from './table.tsx'

interface ListPageProps<T> extends Omit<TableProps<T>, 'rows' | 'caption'> {
  readonly title: string
  readonly sub: string
  readonly query: UseQueryResult<readonly T[]>
  /** What the search field looks in. */
  readonly text: (row: T) => string
  /** What to say where there are no rows, and where the search finds none. */
  readonly none: string
  readonly noMatch: string
  /** What to do about an empty page. */
  readonly advice: ReactNode
}

/** A page that is a list: its head, its rows, and what it says without any. */
export function ListPage<T>(props: ListPageProps<T>) {
  const { title, sub, query, text, none, noMatch, advice, ...table } = props
  const filter = useFilter()
  return (
    <>
      <PageHead title={title} sub={sub} />
      <Loaded query={query}>
        {all => {
          const rows = all.filter(row => filter(text(row)))
          if (rows.length === 0) return <Empty title={all.length === 0 ? none : noMatch}>{advice}</Empty>
          return <Table {...table} caption={title} rows={rows} />
        }}
      </Loaded>
    </>
  )
}
