import { kindDefinitions } from '@seine/api'
import type { Command } from 'commander'
import { printError } from '../output/message.ts'
import { ExitCode, type Terminal } from '../terminal.ts'

interface CommandWords {
  readonly name: string
  readonly description: string
  readonly flags: readonly string[]
  /** What may stand first after the command. */
  readonly words: readonly string[]
}

const SHELLS: Readonly<Record<string, (commands: readonly CommandWords[]) => string>> = { bash, zsh, fish }

/** Prints a completion script, made from the commands themselves. */
export function completion(terminal: Terminal, shell: string, program: Command): ExitCode {
  const script = SHELLS[shell]
  if (!script) {
    printError(terminal, `there is no completion for "${shell}" (bash, zsh, fish)`)
    return ExitCode.usage
  }
  terminal.out(script(program.commands.filter(command => command.name() !== 'help').map(wordsOf)))
  return ExitCode.ok
}

function wordsOf(command: Command): CommandWords {
  const name = command.name()
  const kinds = kindDefinitions.flatMap(({ plural, shortNames }) => [plural, ...shortNames])
  const words: Readonly<Record<string, readonly string[]>> = {
    get: ['all', ...kinds],
    delete: kinds,
    'proxy-config': ['listeners', 'routes', 'clusters', 'endpoints', 'secrets'],
    completion: Object.keys(SHELLS),
  }
  const flags = command.options
    .flatMap(option => [option.long, option.short])
    .filter(flag => typeof flag === 'string')
  return {
    name,
    description: command.summary() || command.description(),
    flags: [...flags, '--help'],
    words: words[name] ?? [],
  }
}

function bash(commands: readonly CommandWords[]): string {
  const cases = commands.map(
    ({ name, flags, words }) => `    ${name}) flags="${flags.join(' ')}"; words="${words.join(' ')}" ;;`,
  )
  return `# bash completion for seinectl: source <(seinectl completion bash)
_seinectl() {
  local current="\${COMP_WORDS[COMP_CWORD]}" flags="" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} --help --version" -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  if [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  elif [ "$COMP_CWORD" -eq 2 ] && [ -n "$words" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _seinectl seinectl
`
}

function zsh(commands: readonly CommandWords[]): string {
  const cases = commands.map(
    ({ name, flags, words }) => `    ${name}) flags=(${flags.join(' ')}); words_=(${words.join(' ')}) ;;`,
  )
  const described = commands.map(
    ({ name, description }) => `    '${name}:${description.replaceAll("'", '’')}'`,
  )
  return `#compdef seinectl
# zsh completion for seinectl: source <(seinectl completion zsh)
_seinectl() {
  local -a commands flags words_
  commands=(
${described.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case "$words[2]" in
${cases.join('\n')}
  esac
  if [[ "$words[CURRENT]" == -* ]]; then
    compadd -a flags
  elif (( CURRENT == 3 && $#words_ > 0 )); then
    compadd -a words_
  else
    _files
  fi
}
compdef _seinectl seinectl
`
}

function fish(commands: readonly CommandWords[]): string {
  const lines = commands.flatMap(({ name, description, flags, words }) => [
    `complete -c seinectl -n __fish_use_subcommand -f -a ${name} -d '${description.replaceAll("'", '’')}'`,
    ...flags.map(
      flag =>
        `complete -c seinectl -n '__fish_seen_subcommand_from ${name}' ${flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`}`,
    ),
    ...(words.length > 0
      ? [`complete -c seinectl -n '__fish_seen_subcommand_from ${name}' -f -a '${words.join(' ')}'`]
      : []),
  ])
  return `# fish completion for seinectl: seinectl completion fish | source\n${lines.join('\n')}\n`
}
