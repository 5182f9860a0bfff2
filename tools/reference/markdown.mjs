// The few forms of Markdown that the reference consists of.

/** Stands at the top of each page. */
export const NOTICE =
  '<!-- Written by tools/reference.mjs from the sources. Change those, then run `npm run reference`. -->'

/** A table; cells hold Markdown. */
export function table(head, rows) {
  const line = cells => `| ${cells.map(cell).join(' | ')} |`
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
}

function cell(text) {
  return String(text ?? '')
    .replaceAll('|', '\\|')
    .replaceAll('\n', ' ')
}

/** Text in monospace; nothing for nothing. */
export function code(text) {
  return text === undefined || text === '' ? '' : `\`${text}\``
}

/** The name by which GitHub links to a heading. */
export function anchor(heading) {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}

/** `a, b and c`. */
export function list(words) {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}
