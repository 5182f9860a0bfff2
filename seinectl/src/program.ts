import { Command, InvalidArgumentError, Option } from 'commander'
import type { AnalyzeFlags } from './commands/analyze.ts'
import type { ApplyFlags } from './commands/apply.ts'
import type { DashboardFlags } from './commands/dashboard.ts'
import type { DeleteFlags } from './commands/delete.ts'
import type { DiffFlags } from './commands/diff.ts'
import type { ExplainFlags } from './commands/explain.ts'
import type { GetFlags } from './commands/get.ts'
import type { ProxyConfigFlags } from './commands/proxy-config.ts'
import type { ProxyStatusFlags } from './commands/proxy-status.ts'
import type { RenderFlags } from './commands/render.ts'
import type { StatusFlags } from './commands/status.ts'
import type { ValidateFlags } from './commands/validate.ts'
import type { VersionFlags } from './commands/version.ts'
import type { WorkloadConfigureFlags } from './commands/workload-configure.ts'
import type { ExitCode, Terminal } from './terminal.ts'

/**
 * The command line's grammar. Each command's module is loaded when the command is run: `version` does not
 * wait for the parsers and messages that `render` needs.
 */
export function buildProgram(terminal: Terminal, exit: (code: ExitCode) => void): Command {
  const program = new Command('seinectl')
    .description('Configure and inspect a Seine mesh')
    .showHelpAfterError('(seinectl --help lists the commands, seinectl COMMAND --help their flags)')
    .helpCommand('help [command]', 'show help for a command')
    .addHelpText(
      'after',
      '\nExamples:\n  seinectl apply -f reviews.yaml\n  seinectl get virtualservices -A\n  seinectl proxy-status\n  seinectl proxy-config routes productpage --port 9080',
    )
  const commands = [
    configurationCommands(terminal, exit),
    checkCommands(terminal, exit),
    proxyCommands(terminal, exit),
    otherCommands(terminal, exit),
  ].flat()
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program))
  const completion = new Command('completion')
    .description('Print a completion script for a shell')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText('after', examples('source <(seinectl completion bash)', 'seinectl completion fish | source'))
    .action(async (shell: string) =>
      exit((await import('./commands/completion.ts')).completion(terminal, shell, program)),
    )
  return program.addCommand(completion.copyInheritedSettings(program))
}

function configurationCommands(terminal: Terminal, exit: (code: ExitCode) => void): Command[] {
  const apply = withCanary(withFolders(new Command('apply')))
    .description('Write objects to the configuration folder: all, or none if one is wrong')
    .requiredOption('-f, --filename <path>', 'a file, a folder, or - for standard input; repeatable', collect)
    .option('-n, --namespace <name>', 'namespace of objects that name none')
    .option('--dry-run', 'check everything and write nothing')
    .addHelpText(
      'after',
      examples(
        'seinectl apply -f reviews.yaml',
        'seinectl apply -f config/ --dry-run',
        'cat reviews.yaml | seinectl apply -f -',
        'seinectl apply -f reviews.yaml --canary productpage-v1 --canary-duration 2m',
      ),
    )
    .action(async (flags: ApplyFlags) =>
      exit(await (await import('./commands/apply.ts')).apply(terminal, flags)),
    )
  const get = withFolders(new Command('get'))
    .description('Show objects of the configuration folder')
    .argument('<kind>', 'a kind or several (vs,dr), KIND/NAME, or all')
    .argument('[names...]', 'names of objects')
    .option('-n, --namespace <name>', 'the namespace to look in (default: "default")')
    .option('-A, --all-namespaces', 'look in all namespaces')
    .addOption(output(['table', 'wide', 'json', 'yaml', 'name']))
    .addHelpText(
      'after',
      examples(
        'seinectl get vs',
        'seinectl get destinationrule reviews -n shop -o yaml',
        'seinectl get all -A -o wide',
      ),
    )
    .action(async (kind: string, names: string[], flags: GetFlags) =>
      exit(await (await import('./commands/get.ts')).get(terminal, kind, names, flags)),
    )
  const remove = withCanary(withFolders(new Command('delete')))
    .description('Remove objects from the configuration folder')
    .argument('[kind]', 'a kind, or KIND/NAME')
    .argument('[names...]', 'names of objects')
    .option(
      '-f, --filename <path>',
      'delete the objects of a file or folder (- for standard input); repeatable',
      collect,
    )
    .option('-n, --namespace <name>', 'the namespace of the objects (default: "default")')
    .option('--ignore-not-found', 'what is not there is no error')
    .addHelpText(
      'after',
      examples(
        'seinectl delete vs reviews',
        'seinectl delete vs/reviews dr/reviews -n shop',
        'seinectl delete -f reviews.yaml',
        'seinectl delete vs reviews --canary productpage-v1',
      ),
    )
    .action(async (kind: string | undefined, names: string[], flags: DeleteFlags) => {
      const { deleteObjects } = await import('./commands/delete.ts')
      exit(await deleteObjects(terminal, kind === undefined ? [] : [kind, ...names], flags))
    })
  const diff = withFolders(new Command('diff'))
    .description('Show what objects would change in which proxies, before they are applied')
    .requiredOption('-f, --filename <path>', 'a file, a folder, or - for standard input; repeatable', collect)
    .option('-n, --namespace <name>', 'namespace of objects that name none')
    .addOption(output(['text', 'json', 'yaml']))
    .addHelpText('after', examples('seinectl diff -f reviews.yaml', 'seinectl diff -f new/ -o json'))
    .action(async (flags: DiffFlags) =>
      exit(await (await import('./commands/diff.ts')).diffCommand(terminal, flags)),
    )
  return [apply, get, remove, diff]
}

/** The flags of what some workloads get first. */
function withCanary(command: Command): Command {
  return command
    .option(
      '--canary <workloads>',
      'WORKLOAD[.NAMESPACE], several with commas: it is done for their proxies first, and for all others once these did well',
      commaList,
    )
    .addOption(
      new Option('--canary-duration <duration>', 'how long they are watched, as 90s or 5m')
        .argParser(durationFlag)
        .default(60_000, '60s'),
    )
    .addOption(
      new Option('--canary-max-errors <percent>', 'by how many percent of calls more than before may fail')
        .argParser(percentFlag)
        .default(5),
    )
    .addOption(
      new Option(
        '--canary-max-latency <percent>',
        'by how many percent the slowest in a hundred calls may be slower than before, or "any"',
      )
        .argParser(slownessFlag)
        .default(100),
    )
    .addOption(
      new Option('--canary-min-requests <number>', 'fewer calls than this tell nothing')
        .argParser(countFlag)
        .default(1),
    )
}

function checkCommands(terminal: Terminal, exit: (code: ExitCode) => void): Command[] {
  const validate = new Command('validate')
    .description('Check objects by their APIs, each by itself')
    .requiredOption('-f, --filename <path>', 'a file, a folder, or - for standard input; repeatable', collect)
    .addOption(output(['table', 'json', 'yaml']))
    .addHelpText(
      'after',
      examples('seinectl validate -f config/', 'seinectl validate -f reviews.yaml -o json'),
    )
    .action(async (flags: ValidateFlags) =>
      exit(await (await import('./commands/validate.ts')).validate(terminal, flags)),
    )
  const analyze = withServer(new Command('analyze'))
    .description("Look for what is probably wrong between objects, with Istio's codes")
    .option(
      '-f, --filename <path>',
      'a file, a folder, or - for standard input; repeatable (default: the running mesh)',
      collect,
    )
    .addOption(output(['table', 'json', 'yaml']))
    .addHelpText(
      'after',
      examples(
        'seinectl analyze -f app/ -f config/',
        'seinectl analyze -f config/ -o json',
        'seinectl analyze',
      ),
    )
    .action(async (flags: AnalyzeFlags) =>
      exit(await (await import('./commands/analyze.ts')).analyze(terminal, flags)),
    )
  const status = new Command('status')
    .description('Show the status that Gateway API objects of files would have, condition by condition')
    .requiredOption('-f, --filename <path>', 'a file, a folder, or - for standard input; repeatable', collect)
    .addOption(output(['table', 'json', 'yaml']))
    .addHelpText('after', examples('seinectl status -f config/', 'seinectl status -f config/ -o yaml'))
    .action(async (flags: StatusFlags) =>
      exit(await (await import('./commands/status.ts')).statusCommand(terminal, flags)),
    )
  return [validate, analyze, status]
}

function proxyCommands(terminal: Terminal, exit: (code: ExitCode) => void): Command[] {
  const status = withServer(new Command('proxy-status'))
    .alias('ps')
    .description('Show how far each connected proxy has come with its configuration')
    .argument('[workload]', 'WORKLOAD[.NAMESPACE] or a pod; without it all')
    .addOption(output(['table', 'json', 'yaml']))
    .addHelpText(
      'after',
      examples('seinectl proxy-status', 'seinectl proxy-status reviews-v1.default -o json'),
    )
    .action(async (word: string | undefined, flags: ProxyStatusFlags) =>
      exit(await (await import('./commands/proxy-status.ts')).proxyStatus(terminal, word, flags)),
    )
  const config = withServer(new Command('proxy-config'))
    .alias('pc')
    .description("Show the configuration of a workload's proxy")
    .argument(
      '<what>',
      'listeners, routes, clusters, endpoints, ecds (configuration of filters that comes by itself) or secrets',
    )
    .argument('<workload>', 'WORKLOAD[.NAMESPACE] or a pod')
    .addOption(output(['table', 'json', 'yaml']))
    .option('--name <text>', 'only resources whose names contain this')
    .option('--port <number>', 'only this port', portNumber)
    .option('--fqdn <host>', 'only this host, such as reviews.default.svc.cluster.local')
    .addHelpText(
      'after',
      examples(
        'seinectl proxy-config routes productpage --port 9080',
        'seinectl proxy-config clusters productpage.default --fqdn reviews -o yaml',
      ),
    )
    .action(async (what: string, workload: string, flags: ProxyConfigFlags) =>
      exit(await (await import('./commands/proxy-config.ts')).proxyConfig(terminal, what, workload, flags)),
    )
  const render = new Command('render')
    .description('Print the configuration that files give a proxy, without a running mesh')
    .requiredOption('--proxy <id>', 'sidecar~<ip>~<workload>.<ns>~<ns>.svc.cluster.local')
    .option('--labels <k=v,...>', "the workload's labels (default: those of its pod in the files)", labelMap)
    .requiredOption('-f, --filename <path>', 'a file, a folder, or - for standard input; repeatable', collect)
    .addOption(
      new Option('--generator <name>', 'who reads it: Envoy, or an application’s own gRPC library')
        .choices(['envoy', 'grpc'])
        .default('envoy'),
    )
    .addOption(output(['json', 'yaml']))
    .addHelpText(
      'after',
      examples(
        'seinectl render --proxy sidecar~10.0.0.1~web.shop~shop.svc.cluster.local --labels app=web -f config/ -o yaml',
      ),
    )
    .action(async (flags: RenderFlags) =>
      exit(await (await import('./commands/render.ts')).renderCommand(terminal, flags)),
    )
  const explain = withFolders(new Command('explain'))
    .description('Say what happens to a request, decision by decision, and which line of YAML caused each')
    .argument('<method>', 'GET, POST, …')
    .argument('<url>', 'http://reviews:9080/path, https://example.com, tcp://ledger:7001')
    .requiredOption('--from <workload>', 'who sends it: WORKLOAD[.NAMESPACE] or a pod')
    .option('-H, --header <line>', 'a header, "name: value"; repeatable', collect)
    .option('--inbound', 'also what the receiving sidecars decide')
    .option(
      '-f, --filename <path>',
      'a file, a folder, or - for standard input, instead of the configuration folder; repeatable',
      collect,
    )
    .addOption(output(['text', 'json', 'yaml']))
    .addHelpText(
      'after',
      examples(
        'seinectl explain --from productpage-v1 GET http://reviews:9080/reviews/1',
        'seinectl explain --from web.shop --inbound GET http://api/v1 -H "end-user: jason" -f config/',
      ),
    )
    .action(async (method: string, url: string, flags: ExplainFlags) =>
      exit(await (await import('./commands/explain.ts')).explainCommand(terminal, method, url, flags)),
    )
  return [status, config, render, explain]
}

function otherCommands(terminal: Terminal, exit: (code: ExitCode) => void): Command[] {
  const dashboard = withServer(new Command('dashboard'))
    .description("Print the dashboard's address, or open it")
    .option('--open', 'open it in the browser')
    .addHelpText('after', examples('seinectl dashboard --open'))
    .action(async (flags: DashboardFlags) =>
      exit(await (await import('./commands/dashboard.ts')).dashboard(terminal, flags)),
    )
  const version = withServer(new Command('version'))
    .description('Print the versions of seinectl and seined')
    .option('--client', 'only that of seinectl')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['json', 'yaml']))
    .addHelpText('after', examples('seinectl version', 'seinectl version --client -o json'))
    .action(async (flags: VersionFlags) =>
      exit(await (await import('./commands/version.ts')).version(terminal, flags)),
    )
  const workload = withFolders(new Command('workload-configure'))
    .description(
      'Write what a machine needs to join the mesh by a WorkloadGroup: environment and capture rules',
    )
    .argument('<group>', 'the name of the WorkloadGroup')
    .option('-n, --namespace <name>', 'the namespace of the group (default: "default")')
    .requiredOption('--address <ip>', 'the address by which the mesh reaches the machine')
    .requiredOption('--control-plane <host:port>', "where the machine reaches seined's TLS port", hostPort)
    .option('--network <name>', 'the network that the machine is in')
    .addOption(
      new Option('--proxy-uid <number>', 'the user that Envoy and the agent run as there')
        .argParser(countFlag)
        .default(1337),
    )
    .requiredOption('--output-dir <dir>', 'where the files are written; it is made if it is not there')
    .addHelpText(
      'after',
      examples(
        'seinectl workload-configure ledger-vm --address 192.0.2.7 --control-plane 192.0.2.1:15012 --output-dir vm/',
      ),
    )
    .action(async (group: string, flags: WorkloadConfigureFlags) => {
      const { workloadConfigure } = await import('./commands/workload-configure.ts')
      exit(await workloadConfigure(terminal, group, flags))
    })
  return [dashboard, version, workload]
}

function withServer(command: Command): Command {
  return command.option(
    '--server <url>',
    'address of seined (env SEINE_SERVER, default http://127.0.0.1:15080)',
  )
}

function withFolders(command: Command): Command {
  return withServer(command).option(
    '--config <dir>',
    'configuration folder; repeatable (env SEINE_CONFIG, default: those of the running seined, else ./config)',
    collect,
  )
}

function output(formats: readonly [string, ...string[]]): Option {
  return new Option('-o, --output <format>', 'output format').choices(formats).default(formats[0])
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map(line => `  ${line}`).join('\n')}`
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

function commaList(value: string, before: readonly string[] = []): string[] {
  return [...before, ...value.split(',').filter(Boolean)]
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }

function durationFlag(value: string): number {
  const [, amount, unit = ''] = /^(\d+)(s|m|h)$/.exec(value) ?? []
  const ms = Number(amount) * (UNITS[unit] ?? 0)
  if (!(ms > 0)) throw new InvalidArgumentError('a duration is a number with s, m or h, as 90s.')
  return ms
}

function percentFlag(value: string): number {
  const percent = Number(value.replace(/%$/, ''))
  if (!(percent >= 0 && percent <= 100)) throw new InvalidArgumentError('it is 0 to 100.')
  return percent
}

/** Undefined for `any`. */
function slownessFlag(value: string): number | undefined {
  if (value === 'any') return undefined
  const percent = Number(value.replace(/%$/, ''))
  if (!(percent >= 0)) throw new InvalidArgumentError('it is a percentage, 0 or more, or "any".')
  return percent
}

function countFlag(value: string): number {
  const count = Number(value)
  if (!Number.isInteger(count) || count < 0)
    throw new InvalidArgumentError('it is a whole number, 0 or more.')
  return count
}

function hostPort(value: string): string {
  if (!/^(\[[\da-fA-F:.]+\]|[^:[\]\s']+):\d+$/.test(value))
    throw new InvalidArgumentError('it is <host>:<port>, such as 192.0.2.1:15012.')
  return value
}

function portNumber(value: string): number {
  const port = Number(value)
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new InvalidArgumentError('a port is 0 to 65535.')
  return port
}

function labelMap(value: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const labels = { ...before }
  for (const pair of value.split(',').filter(Boolean)) {
    const equals = pair.indexOf('=')
    if (equals <= 0) throw new InvalidArgumentError(`"${pair}" is not of the form key=value.`)
    labels[pair.slice(0, equals)] = pair.slice(equals + 1)
  }
  return labels
}
