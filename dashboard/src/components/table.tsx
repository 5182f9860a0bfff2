import { useNavigate } from '@tanstack/react-router'
import { type KeyboardEvent, type ReactNode, useMemo, useState } from 'react'

/** A column: what it shows, and by what it sorts. */
export interface Column<T> {
  readonly title: string
  readonly cell: (row: T) => ReactNode
  readonly sort?: (row: T) => number | string
  readonly numeric?: boolean
  /** Left out on narrow screens. */
  readonly wide?: boolean
}

/** What a table shows. */
export interface TableProps<T> {
  readonly rows: readonly T[]
  readonly columns: readonly Column<T>[]
  readonly rowKey: (row: T) => string
  readonly testId?: (row: T) => string
  readonly to?: (row: T) => string
  readonly caption: string
}

/** A list that sorts by its heads, and whose rows open by click or Enter and are walked with the arrow keys. */
export function Table<T>({ rows, columns, rowKey, testId, to, caption }: TableProps<T>) {
  const navigate = useNavigate()
  const [order, setOrder] = useState<{ column: number; up: boolean } | undefined>()
  const sorted = useMemo(() => sortRows(rows, columns, order), [rows, columns, order])
  const open = (row: T) => to && void navigate({ to: to(row) })
  const walk = (event: KeyboardEvent<HTMLTableRowElement>, row: T) => {
    if (event.key === 'Enter') open(row)
    const next =
      event.key === 'ArrowDown'
        ? event.currentTarget.nextElementSibling
        : event.key === 'ArrowUp'
          ? event.currentTarget.previousElementSibling
          : null
    if (next instanceof HTMLElement) {
      event.preventDefault()
      next.focus()
    }
  }
  return (
    <div className="table-wrap">
      <table>
        <caption className="sr-only">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column, index) => (
              <th
                key={column.title}
                scope="col"
                className={classOf(column)}
                aria-sort={order?.column === index ? (order.up ? 'ascending' : 'descending') : undefined}
              >
                {column.sort ? (
                  <button
                    type="button"
                    onClick={() =>
                      setOrder({ column: index, up: order?.column === index ? !order.up : !column.numeric })
                    }
                  >
                    {column.title}
                    <span aria-hidden>{order?.column === index ? (order.up ? ' ↑' : ' ↓') : ''}</span>
                  </button>
                ) : (
                  column.title
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map(row => (
            <tr
              key={rowKey(row)}
              data-testid={testId?.(row)}
              tabIndex={to ? 0 : undefined}
              className={to ? 'link-row' : undefined}
              onClick={() => open(row)}
              onKeyDown={event => walk(event, row)}
            >
              {columns.map(column => (
                <td key={column.title} className={classOf(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function classOf<T>({ numeric, wide }: Column<T>): string {
  return [numeric ? 'num' : '', wide ? 'wide' : ''].join(' ').trim()
}

function sortRows<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  order: { column: number; up: boolean } | undefined,
): readonly T[] {
  const by = order && columns[order.column]?.sort
  if (!by) return rows
  const sign = order.up ? 1 : -1
  return [...rows].sort((a, b) => {
    const [left, right] = [by(a), by(b)]
    return left < right ? -sign : left > right ? sign : 0
  })
}
