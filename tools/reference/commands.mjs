// A page for each program, from what it says of itself when asked for help.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { code, NOTICE, table } from './markdown.mjs'

const PROGRAMS = [
  {
    name: 'seinectl',
    script: 'seinectl/bin/seinectl.js',
    about:
      'In a checkout it is `npx seinectl`. It ends with 0 on success, 1 on failure and 2 on wrong usage.',
  },
  {
    name: 'seined',
    script: 'seined/bin/seined.js',
    about: 'It logs to stderr, as JSON lines where that is no terminal, and stops on SIGINT and SIGTERM.',
  },
  {
    name: 'seine-agent',
    script: 'agent/bin/seine-agent.js',
    about:
      'People do not start it: the injector writes it into pods. Its settings are [environment variables](ports-and-files.md#the-agents-environment).',
  },
  {
    name: 'demo',
    script: 'demo/dist/main.js',
    about: 'In a checkout it is `npm run demo -- <options>`, which builds first.',
  },
]

export async function commandPages(root) {
  return PROGRAMS.map(({ name, script, about }) => {
    const help = helpOf(root, script)
    const main = parseHelp(help.get(''))
    const commands = [...help.keys()].filter(command => command !== '')
    const sections = commands.map(command => {
      const { usage, description, ...parts } = parseHelp(help.get(command))
      return `## ${name} ${command}\n\n${sentence(description)}\n\n    ${usage}\n\n${body(parts)}`
    })
    const text = [
      `# ${name}`,
      NOTICE,
      `${sentence(main.description)} ${about}`,
      commands.length === 0 ? `    ${main.usage}\n\n${body(main)}` : '',
      ...sections,
    ]
    return [`${name}.md`, text.filter(part => part !== '').join('\n\n')]
  })
}

/** The help of a program (under the empty name) and of its commands. The machine's own paths are none of it. */
function helpOf(root, script) {
  const text = execFileSync(
    process.execPath,
    ['--import', join(root, 'tools/reference/print-help.mjs'), join(root, script)],
    {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, SEINE_CACHE: '~/.cache/seine' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const help = JSON.parse(text.replaceAll(join(root, '/'), ''))
  return new Map(Object.entries(help))
}

/** Commander's help, taken apart. */
function parseHelp(text) {
  const [head = '', ...parts] = text.trimEnd().split(/\n\n(?=(?:Arguments|Options|Commands|Examples):\n)/)
  const [usage = '', ...description] = head.split('\n\n')
  const section = title => parts.find(part => part.startsWith(`${title}:\n`))
  const entries = title =>
    (section(title) ?? '')
      .split('\n')
      .slice(1)
      .map(line => /^ {2}(\S.*?)(?: {2,}(.*))?$/.exec(line))
      .filter(Boolean)
      .map(([, term, meaning = '']) => ({ term, meaning }))
  return {
    usage: usage.replace('Usage: ', ''),
    description: description.join(' '),
    arguments: entries('Arguments'),
    options: entries('Options').filter(({ term }) => term !== '-h, --help'),
    commands: entries('Commands'),
    examples: (section('Examples') ?? '').split('\n').slice(1),
  }
}

function body(parts) {
  const rows = entries => entries.map(({ term, meaning }) => [code(term), meaning])
  return [
    parts.arguments.length > 0 ? table(['Argument', 'Meaning'], rows(parts.arguments)) : '',
    parts.options.length > 0 ? table(['Option', 'Meaning'], rows(parts.options)) : '',
    parts.examples.length > 0
      ? `\`\`\`sh\n${parts.examples.map(line => line.trim()).join('\n')}\n\`\`\``
      : '',
  ]
    .filter(Boolean)
    .join('\n\n')
}

function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(whole) ? whole : `${whole}.`
}
