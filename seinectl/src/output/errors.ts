import { formatPosition, formatRef, type Problem } from '@seine/kit'
import type { Terminal } from '../terminal.ts'
import { type Style, styled } from './style.ts'

const STYLES: Readonly<Record<Problem['severity'], Style>> = { error: 'red', warning: 'yellow', info: 'dim' }

/** `reviews.yaml:12:5: VirtualService default/reviews: spec.hosts: is needed [IST0106]`. */
export function problemText(problem: Problem): string {
  const where = problem.position ? `${formatPosition(problem.position)}: ` : ''
  const object = problem.resource ? `${formatRef(problem.resource)}: ` : ''
  const field = problem.path ? `${problem.path}: ` : ''
  return `${where}${object}${field}${problem.message} [${problem.code}]`
}

/** Prints problems on standard error. @returns whether one of them is an error. */
export function printProblems(terminal: Terminal, problems: readonly Problem[]): boolean {
  for (const problem of problems) {
    const severity = styled(`${problem.severity}:`, STYLES[problem.severity], terminal.colour.err)
    terminal.err(`${severity} ${problemText(problem)}\n`)
  }
  return problems.some(problem => problem.severity === 'error')
}
