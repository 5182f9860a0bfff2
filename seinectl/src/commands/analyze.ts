import {
  analyzeObjects,
  codes,
  type Finding,
  findingOf as findingOfProblem,
  type Level,
} from '@seine/analysis'
import { certificateProblem, formatPosition, formatRef } from '@seine/kit'
import { loadFiles } from '@seine/source-files'
import { serverUrl } from '../hub/client.ts'
import { type HubProblem, listProblems } from '../hub/problems.ts'
import { printData } from '../output/data.ts'
import { printProblems } from '../output/errors.ts'
import { printError, printWarning } from '../output/message.ts'
import { type Style, styled } from '../output/style.ts'
import { type Cell, table } from '../output/table.ts'
import { patchProblems } from '../patch-problems.ts'
import { ExitCode, type Terminal } from '../terminal.ts'

/** The flags of `analyze`. */
export interface AnalyzeFlags {
  readonly filename?: readonly string[]
  readonly server?: string
  readonly output: 'table' | 'json' | 'yaml'
}

/**
 * Looks for what is probably wrong with the objects of files, or with a running mesh when none are named. As
 * with `istioctl analyze`, the exit code is 1 when a table shows an Error, and 0 when data was asked for.
 */
export async function analyze(terminal: Terminal, flags: AnalyzeFlags): Promise<ExitCode> {
  const analyzed = flags.filename?.length
    ? await analyzeFiles(terminal, flags.filename)
    : await askServer(terminal, flags.server)
  if (!analyzed) return ExitCode.failed
  const { findings, failed } = analyzed
  if (flags.output !== 'table') {
    await printData(terminal, findings.map(dataOf), flags.output)
    return failed ? ExitCode.failed : ExitCode.ok
  }
  printTable(terminal, findings)
  return failed || findings.some(({ level }) => level === 'Error') ? ExitCode.failed : ExitCode.ok
}

/** Findings, and whether something could not be looked at. */
interface Analyzed {
  readonly findings: readonly Finding[]
  readonly failed: boolean
}

async function analyzeFiles(terminal: Terminal, paths: readonly string[]): Promise<Analyzed> {
  const { objects, resources, fileProblems } = await loadFiles(paths, { stdin: terminal.stdin })
  const syntax = objects.filter(({ ref }) => !ref).flatMap(({ problems }) => problems)
  const failed = printProblems(terminal, [...fileProblems, ...syntax])
  const unsupported = objects.filter(({ problems }) => problems.some(({ code }) => code === 'unsupported'))
  if (unsupported.length > 0)
    printWarning(
      terminal,
      `${unsupported.length === 1 ? '1 object uses' : `${unsupported.length} objects use`} what this version does not support yet: see seinectl validate`,
    )
  const options = {
    certificateProblem: (certificate: string, key: string) =>
      certificateProblem(certificate, key, Date.now()),
  }
  const ofPatches = patchProblems(resources).flatMap(problem => findingOfProblem(problem) ?? [])
  return { findings: [...analyzeObjects(objects, options), ...ofPatches], failed }
}

async function askServer(terminal: Terminal, flag: string | undefined): Promise<Analyzed | undefined> {
  const answer = await listProblems(serverUrl(flag, terminal))
  if (answer.ok) return { findings: answer.value.flatMap(findingOf), failed: false }
  printError(terminal, `${answer.error}; or name files with -f`)
  return undefined
}

const LEVELS: Readonly<Record<string, Level>> = { error: 'Error', warning: 'Warning', info: 'Info' }

/** One problem of the hub, if it is one of analysis. */
function findingOf({ severity, ...problem }: HubProblem): Finding[] {
  const level = LEVELS[severity]
  return problem.code in codes && level ? [{ ...problem, level }] : []
}

function dataOf({ code, level, resource, message, path }: Finding) {
  return { code, level, resource: formatRef(resource), message, path }
}

const STYLES: Readonly<Record<Level, Style>> = { Error: 'red', Warning: 'yellow', Info: 'dim' }

function printTable(terminal: Terminal, findings: readonly Finding[]): void {
  const colour = terminal.colour.out
  if (findings.length === 0) {
    terminal.out(`${styled('nothing found', 'green', colour)}\n`)
    return
  }
  const rows = findings.map(({ code, level, resource, message, path, position }): Cell[] => [
    { text: level, style: STYLES[level] },
    code,
    position ? formatPosition(position) : '',
    formatRef(resource),
    path,
    message,
  ])
  terminal.out(table(['LEVEL', 'CODE', 'POSITION', 'OBJECT', 'FIELD', 'MESSAGE'], rows, colour))
}
