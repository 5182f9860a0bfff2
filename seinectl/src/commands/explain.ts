import { ok, type Result } from '@seine/kit'
import type { Step, Verdict } from '@seine/pilot-traffic/explain'
import { loadFiles } from '@seine/source-files'
import type { FolderFlags } from '../config/folders.ts'
import { meshWorld } from '../config/mesh-world.ts'
import { type Answer, explain, type Part } from '../explain.ts'
import { printData } from '../output/data.ts'
import { printProblems } from '../output/errors.ts'
import { printError } from '../output/message.ts'
import { type Style, styled } from '../output/style.ts'
import { ExitCode, type Terminal } from '../terminal.ts'
import { type World, worldOfFiles } from '../world.ts'

/** The flags of `explain`. */
export interface ExplainFlags extends FolderFlags {
  readonly from: string
  readonly filename?: readonly string[]
  readonly header?: readonly string[]
  readonly inbound?: boolean
  readonly output: 'text' | 'json' | 'yaml'
}

/** Prints what happens to one request, decision by decision, with the file and line that caused each. */
export async function explainCommand(
  terminal: Terminal,
  method: string,
  url: string,
  flags: ExplainFlags,
): Promise<ExitCode> {
  const headers = parseHeaders(flags.header ?? [])
  if (typeof headers === 'string') {
    printError(terminal, headers)
    return ExitCode.usage
  }
  const world = await worldOf(terminal, flags)
  if (!world.ok) {
    printError(terminal, world.error)
    return ExitCode.failed
  }
  const question = { from: flags.from, method, url, headers, inbound: flags.inbound === true }
  const answer = explain(world.value, question)
  if (!answer.ok) {
    printError(terminal, answer.error)
    return ExitCode.usage
  }
  const failed = printProblems(terminal, answer.value.problems)
  if (flags.output === 'text') terminal.out(textOf(answer.value, world.value, terminal.colour.out))
  else await printData(terminal, dataOf(answer.value, world.value), flags.output)
  return failed ? ExitCode.failed : ExitCode.ok
}

/** The files that are named; else what the running mesh has in force, or all that it reads. */
async function worldOf(terminal: Terminal, flags: ExplainFlags): Promise<Result<World, string>> {
  if (flags.filename?.length) {
    const { resources, problems } = await loadFiles(flags.filename, { stdin: terminal.stdin })
    return ok(worldOfFiles(resources, problems, false))
  }
  return meshWorld(terminal, flags)
}

function parseHeaders(lines: readonly string[]): Record<string, string> | string {
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon <= 0) return `"${line}" is no header: write -H "name: value"`
    headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
  }
  return headers
}

function dataOf(answer: Answer, world: World) {
  const { request, parts } = answer
  return {
    request,
    parts: parts.map(({ direction, workload, explanation }) => ({
      direction,
      workload,
      verdict: explanation.verdict,
      steps: explanation.steps.map(step => ({
        ...step,
        causes: step.causes.map(cause => {
          const notInForce = world.reasonsOf(cause)
          const position = world.positionOf(cause, cause.path)
          return { ...cause, position, ...(notInForce.length > 0 ? { notInForce } : {}) }
        }),
      })),
    })),
  }
}

function textOf(answer: Answer, world: World, colour: boolean): string {
  return answer.parts.map(part => partText(part, answer, world, colour)).join('\n')
}

function partText(
  { direction, workload, explanation }: Part,
  answer: Answer,
  world: World,
  colour: boolean,
): string {
  const { method, url, address, port } = answer.request
  const heads = {
    outbound: `${workload} sends ${method} ${url} (to ${address}:${port})`,
    gateway: `${method} ${url} comes to the gateway ${workload} (${address}:${port})`,
    between: `${workload}, the gateway of its network, gets it by the server name in its TLS`,
    inbound: `${workload} receives it`,
  }
  const lines = [styled(heads[direction], 'bold', colour)]
  for (const step of explanation.steps) lines.push(...stepLines(step, world, colour))
  const { text, style } = verdictText(explanation.verdict)
  lines.push(styled(`→ ${text}`, style, colour), '')
  return lines.join('\n')
}

const STAGE_WIDTH = 15

function stepLines(step: Step, world: World, colour: boolean): string[] {
  const indent = ' '.repeat(STAGE_WIDTH + 2)
  const lines = [
    `  ${styled(step.stage.padEnd(STAGE_WIDTH), 'dim', colour)}${styled(step.name, 'bold', colour)}: ${step.summary}`,
  ]
  for (const detail of step.details) lines.push(`${indent}${detail}`)
  for (const { name, why } of step.passed)
    lines.push(`${indent}${styled(`not ${name}: ${why}`, 'dim', colour)}`)
  for (const cause of step.causes) {
    const at = world.positionOf(cause, cause.path)
    const object = `${cause.kind} ${cause.namespace ? `${cause.namespace}/` : ''}${cause.name}`
    lines.push(
      `${indent}${styled(`because of ${object}${cause.path ? ` ${cause.path}` : ''}${at ? ` (${at})` : ''}`, 'yellow', colour)}`,
    )
    for (const reason of world.reasonsOf(cause))
      lines.push(`${indent}${styled(`in force is not what the file says: ${reason}`, 'red', colour)}`)
  }
  return lines
}

function verdictText(verdict: Verdict): { text: string; style: Style } {
  switch (verdict.outcome) {
    case 'forwarded': {
      const targets = verdict.targets.map(({ cluster, share, endpoints }) => {
        const where = endpoints
          .map(one => `${one.address}:${one.port}${one.workload ? ` (${one.workload})` : ''}`)
          .join(', ')
        return `${verdict.targets.length > 1 ? `${Math.round(share * 1000) / 10}% ` : ''}${cluster}${where ? ` at ${where}` : ''}`
      })
      return { text: `forwarded to ${targets.join('; ')}`, style: 'green' }
    }
    case 'redirected':
      return { text: `redirected with ${verdict.status} to ${verdict.location}`, style: 'green' }
    case 'answered':
      return {
        text: `answered with ${verdict.status}: ${verdict.reason}`,
        style: verdict.status < 400 ? 'green' : 'red',
      }
    case 'closed':
      return { text: `the connection is closed: ${verdict.reason}`, style: 'red' }
  }
}
