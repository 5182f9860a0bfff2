import { type Style, styled } from './style.ts'

/** One field of a table: plain, or in a style. */
export type Cell = string | { readonly text: string; readonly style: Style }

const GAP = '   '

/** Columns as `kubectl` prints them: headings in capitals, three blanks between, no lines. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[], colour: boolean): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map(row => textOf(row[column]).length)),
  )
  const line = (cells: readonly Cell[]) =>
    cells
      .map((cell, column) => {
        const text = textOf(cell)
        const padding = column === cells.length - 1 ? '' : ' '.repeat((widths[column] ?? 0) - text.length)
        return styled(text, typeof cell === 'string' ? undefined : cell.style, colour) + padding
      })
      .join(GAP)
      .trimEnd()
  const title = line(head.map(text => ({ text, style: 'bold' as const })))
  return [title, ...rows.map(line)].map(text => `${text}\n`).join('')
}

function textOf(cell: Cell | undefined): string {
  return typeof cell === 'object' ? cell.text : (cell ?? '')
}
