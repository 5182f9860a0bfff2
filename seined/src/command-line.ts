import { isIP } from 'node:net'
import { join } from 'node:path'
import { cacheFolder } from '@seine/kit'
import { Command, InvalidArgumentError, Option } from 'commander'
import { ALL_COMPONENTS, type Component, DEFAULT_PORTS, type SeinedSettings } from './settings.ts'

interface Flags {
  readonly config?: readonly string[]
  readonly state?: string
  readonly bind?: string
  readonly trustDomain?: string
  readonly workloadCertTtl?: number
  readonly xdsPort?: number
  readonly tlsPort?: number
  readonly httpPort: number
  readonly otlpPort?: number
  readonly hubPort?: number
  readonly dashboard?: string
  readonly citadel?: string
  readonly rootCert?: string
  readonly tokenFile?: string
  readonly tokenIssuers?: string
  readonly pilot?: string
  readonly hub?: string
  readonly logFormat?: LogFormat
}

export type LogFormat = 'json' | 'text'

/** Runs what the command line asks for. Without a format the logger chooses. */
export type Run = (settings: SeinedSettings, logFormat: LogFormat | undefined) => Promise<void>

const DAY_MS = 24 * 3_600_000
const LOOPBACK = '127.0.0.1'
const TRUST_DOMAIN = 'cluster.local'
const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000 } as const
const MAX_PORT = 65_535

const ABOUT: Readonly<Record<Component, string>> = {
  citadel: 'the certificate authority',
  pilot: 'service discovery and traffic configuration (ADS)',
  mixer: 'reception of telemetry',
  hub: 'insights: the HTTP API and the dashboard',
}

/** The command line of `seined`: a command for each component, and one, the default, for all of them. */
export function commandLine(run: Run): Command {
  const program = new Command('seined')
    .description('The Seine control plane: all of it, or one component')
    .showHelpAfterError()
  add(program, 'all', 'every component in one process', ALL_COMPONENTS, run)
  for (const component of ALL_COMPONENTS)
    add(program, component, `only ${component}: ${ABOUT[component]}`, [component], run)
  return program
}

/** A command has the options that its components use, and no others: none is taken and ignored. */
function add(
  program: Command,
  name: string,
  description: string,
  components: readonly Component[],
  run: Run,
): void {
  const isDefault = components.length > 1
  const command = program.command(name, { isDefault }).description(description)
  const anyOf = (...wanted: Component[]) => wanted.some(component => components.includes(component))
  const apart = !isDefault
  if (anyOf('pilot', 'hub'))
    command.option(
      '--config <folder>',
      'a folder of configuration to watch; can be given several times',
      collect,
      [],
    )
  if (anyOf('citadel', 'pilot', 'mixer'))
    command.option('--bind <address>', 'the address that sidecars reach this process at', ipAddress, LOOPBACK)
  if (anyOf('citadel', 'pilot'))
    command
      .option('--trust-domain <name>', 'the first part of every SPIFFE ID', trustDomain, TRUST_DOMAIN)
      .option('--tls-port <port>', 'ADS and certificates over TLS', port, DEFAULT_PORTS.tls)
  if (anyOf('citadel', 'pilot'))
    command.option(
      '--state <folder>',
      'what outlives a start: keys of citadel, and the workloads that have registered with pilot',
      join(cacheFolder(), 'state'),
    )
  if (anyOf('citadel'))
    command.option(
      '--workload-cert-ttl <duration>',
      "the longest life of a workload's certificate, such as 90s, 15m or 24h",
      duration,
      DAY_MS,
    )
  if (anyOf('pilot'))
    command.option(
      '--xds-port <port>',
      'ADS in plaintext, on loopback only',
      port,
      DEFAULT_PORTS.xdsPlaintext,
    )
  command.option('--http-port <port>', 'metrics and readiness, on loopback only', port, DEFAULT_PORTS.http)
  if (anyOf('mixer')) command.option('--otlp-port <port>', 'spans over OTLP (gRPC)', port, DEFAULT_PORTS.otlp)
  if (anyOf('hub'))
    command
      .option('--hub-port <port>', 'the dashboard and its API, on loopback only', port, DEFAULT_PORTS.hub)
      .option('--dashboard <folder>', 'the built dashboard; default: the one of this installation')
  if (apart && anyOf('pilot'))
    command
      .requiredOption('--citadel <host:port>', 'the TLS port of a citadel in another process', hostPort)
      .requiredOption('--root-cert <file>', "the mesh's root certificate, to know that citadel by")
      .requiredOption(
        '--token-file <file>',
        "the control plane's own service account token, for that citadel",
      )
      .requiredOption('--token-issuers <file>', 'the JWKS of trusted token issuers')
  if (apart && anyOf('hub'))
    command.requiredOption('--pilot <url>', 'the HTTP port of a pilot in another process', httpUrl)
  if (apart && anyOf('mixer'))
    command.option(
      '--hub <url>',
      'the hub in another process that spans go to; without it they are dropped',
      httpUrl,
    )
  command
    .addOption(new Option('--log-format <format>').choices(['json', 'text']))
    .action(async (flags: Flags) => {
      const twice = portGivenTwice(flags)
      if (twice) command.error(`error: ${twice.join(' and ')} are the same port: give each one of its own`)
      await run(settingsOf(components, flags), flags.logFormat)
    })
}

function settingsOf(components: readonly Component[], flags: Flags): SeinedSettings {
  return {
    components,
    configFolders: flags.config ?? [],
    stateFolder: flags.state ?? join(cacheFolder(), 'state'),
    bind: flags.bind ?? LOOPBACK,
    trustDomain: flags.trustDomain ?? TRUST_DOMAIN,
    workloadTtlMs: flags.workloadCertTtl ?? DAY_MS,
    ports: {
      xdsPlaintext: flags.xdsPort ?? DEFAULT_PORTS.xdsPlaintext,
      tls: flags.tlsPort ?? DEFAULT_PORTS.tls,
      http: flags.httpPort,
      otlp: flags.otlpPort ?? DEFAULT_PORTS.otlp,
      hub: flags.hubPort ?? DEFAULT_PORTS.hub,
    },
    citadel: remoteCitadel(flags),
    pilotUrl: flags.pilot,
    hubUrl: flags.hub,
    dashboardFolder: flags.dashboard,
  }
}

function remoteCitadel({ citadel, rootCert, tokenFile, tokenIssuers }: Flags): SeinedSettings['citadel'] {
  if (!citadel || !rootCert || !tokenFile || !tokenIssuers) return undefined
  return { address: citadel, rootCertFile: rootCert, tokenFile, issuersFile: tokenIssuers }
}

/** Two options that give the same port, which only one could have. */
function portGivenTwice(flags: Flags): [string, string] | undefined {
  const options = new Map<number, string>()
  for (const [name, option] of [
    ['xdsPort', '--xds-port'],
    ['tlsPort', '--tls-port'],
    ['httpPort', '--http-port'],
    ['otlpPort', '--otlp-port'],
    ['hubPort', '--hub-port'],
  ] as const) {
    const number = flags[name]
    if (number === undefined) continue
    const other = options.get(number)
    if (other !== undefined) return [other, option]
    options.set(number, option)
  }
  return undefined
}

function collect(value: string, all: readonly string[]): readonly string[] {
  return [...all, value]
}

function port(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > MAX_PORT)
    throw new InvalidArgumentError(`A port is a number from 1 to ${MAX_PORT}.`)
  return value
}

function ipAddress(text: string): string {
  if (isIP(text) === 0) throw new InvalidArgumentError('It must be an IP address.')
  return text
}

function hostPort(text: string): string {
  const [, number] = /^(?:\[[\da-fA-F:.]+\]|[^:[\]\s/]+):(\d+)$/.exec(text) ?? []
  if (!(Number(number) >= 1 && Number(number) <= MAX_PORT))
    throw new InvalidArgumentError('It must be <host>:<port>, such as 10.0.0.1:15012.')
  return text
}

function httpUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new InvalidArgumentError('It must be a URL, such as http://127.0.0.1:15014.')
  return text
}

function trustDomain(text: string): string {
  if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(text))
    throw new InvalidArgumentError('It must be a name in lower case, such as cluster.local.')
  return text
}

/** `90s`, `15m`, `24h` in ms. */
function duration(text: string): number {
  const [, number, unit] = /^(\d+)([smh])$/.exec(text) ?? []
  const ms = Number(number) * UNIT_MS[unit as keyof typeof UNIT_MS]
  if (!(ms > 0)) throw new InvalidArgumentError('It must be a whole number with s, m or h, such as 24h.')
  return ms
}
