import { CommanderError } from 'commander'
import { printError } from './output/message.ts'
import { buildProgram } from './program.ts'
import { ExitCode, type Terminal } from './terminal.ts'

/** Runs one command line, without the program's name. @returns the exit code. */
export async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = ExitCode.ok
  const program = buildProgram(terminal, result => {
    code = result
  })
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: text => terminal.out(text),
      writeErr: text => terminal.err(text),
      getOutHasColors: () => terminal.colour.out,
      getErrHasColors: () => terminal.colour.err,
    })
  }
  try {
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (failure) {
    // Commander throws for help and for wrong usage, and has already said what is to be said.
    if (failure instanceof CommanderError) return failure.exitCode === 0 ? ExitCode.ok : ExitCode.usage
    printError(terminal, failure instanceof Error ? failure.message : String(failure))
    if (terminal.env['SEINE_DEBUG'] && failure instanceof Error) terminal.err(`${failure.stack ?? ''}\n`)
    return ExitCode.failed
  }
}
