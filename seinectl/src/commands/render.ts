import { printData } from '../output/data.ts'
import { printProblems } from '../output/errors.ts'
import { printError } from '../output/message.ts'
import { render } from '../render.ts'
import { ExitCode, type Terminal } from '../terminal.ts'

/** The flags of `render`. */
export interface RenderFlags {
  readonly filename: readonly string[]
  readonly proxy: string
  readonly labels?: Readonly<Record<string, string>>
  readonly generator: 'envoy' | 'grpc'
  readonly output: 'json' | 'yaml'
}

/** Prints what a proxy would be served. Broken objects are reported and left out; then the exit code is 1. */
export async function renderCommand(terminal: Terminal, flags: RenderFlags): Promise<ExitCode> {
  const { filename, proxy, labels, generator } = flags
  const rendered = await render(filename, proxy, labels, { stdin: terminal.stdin }, generator)
  if (!rendered.ok) {
    printError(terminal, rendered.error)
    return ExitCode.usage
  }
  const failed = printProblems(terminal, rendered.value.problems)
  await printData(terminal, rendered.value.config, flags.output)
  return failed ? ExitCode.failed : ExitCode.ok
}
