import type { Terminal } from '../terminal.ts'
import { styled } from './style.ts'

/** Prints `error: …` on standard error. */
export function printError(terminal: Terminal, message: string): void {
  terminal.err(`${styled('error:', 'red', terminal.colour.err)} ${message}\n`)
}

/** Prints `warning: …` on standard error. */
export function printWarning(terminal: Terminal, message: string): void {
  terminal.err(`${styled('warning:', 'yellow', terminal.colour.err)} ${message}\n`)
}
