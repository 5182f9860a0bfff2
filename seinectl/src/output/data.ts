import type { Terminal } from '../terminal.ts'

/** Prints a value for machines. */
export async function printData(terminal: Terminal, value: unknown, format: 'json' | 'yaml'): Promise<void> {
  if (format === 'json') {
    terminal.out(`${JSON.stringify(value, null, 2)}\n`)
    return
  }
  const { stringify } = await import('yaml')
  terminal.out(stringify(value, { lineWidth: 0, aliasDuplicateObjects: false }))
}
