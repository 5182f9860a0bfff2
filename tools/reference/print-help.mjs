// Loaded before a program: instead of running its command line, it prints the help of the program and of each of
// its commands, as JSON, by name.
import { writeSync } from 'node:fs'
import { Command } from 'commander'

function helpOf(command) {
  let text = ''
  command.configureOutput({
    writeOut: part => {
      text += part
    },
    // Lines must not be cut where a terminal ends.
    getOutHelpWidth: () => 100_000,
    getOutHasColors: () => false,
  })
  command.outputHelp()
  return text
}

function printHelp() {
  const help = { '': helpOf(this) }
  for (const command of this.commands) help[command.name()] = helpOf(command)
  writeSync(1, JSON.stringify(help))
  process.exit(0)
}

Command.prototype.parse = printHelp
Command.prototype.parseAsync = printHelp
