import { isIP } from 'node:net'
import { join } from 'node:path'
import { setLogger } from '@grpc/grpc-js'
import { cacheFolder, createLogger, errorMessage, shutdownSignal, systemClock } from '@seine/kit'
import { Command, InvalidArgumentError, Option } from 'commander'
import { Seined } from './seined.ts'
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
  readonly logFormat?: 'json' | 'text'
}

const DAY_MS = 24 * 3_600_000
const LOOPBACK = '127.0.0.1'
const TRUST_DOMAIN = 'cluster.local'
const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000 } as const

const program = new Command('seined')
  .description('The Seine control plane: all of it, or one component')
  .showHelpAfterError()

const ABOUT: Readonly<Record<Component, string>> = {
  citadel: 'the certificate authority',
  pilot: 'service discovery and traffic configuration (ADS)',
  mixer: 'reception of telemetry',
  hub: 'insights: the HTTP API and the dashboard',
}

add('all', 'every component in one process', ALL_COMPONENTS, true)
for (const component of ALL_COMPONENTS)
  add(component, `only ${component}: ${ABOUT[component]}`, [component], false)
await program.parseAsync()

/** A command has the options that its components use, and no others: none is taken and ignored. */
function add(name: string, description: string, components: readonly Component[], isDefault: boolean): void {
  const command = program.command(name, { isDefault }).description(description)
  const anyOf = (...wanted: Component[]) => wanted.some(component => components.includes(component))
  const apart = components.length === 1
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
      .option('--trust-domain <name>', 'the first part of every SPIFFE ID', TRUST_DOMAIN)
      .option('--tls-port <port>', 'ADS and certificates over TLS', port, DEFAULT_PORTS.tls)
  if (anyOf('citadel'))
    command
      .option('--state <folder>', 'where keys are kept', join(cacheFolder(), 'state'))
      .option(
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
      .requiredOption('--citadel <host:port>', 'the TLS port of a citadel in another process')
      .requiredOption('--root-cert <file>', "the mesh's root certificate, to know that citadel by")
      .requiredOption(
        '--token-file <file>',
        "the control plane's own service account token, for that citadel",
      )
      .requiredOption('--token-issuers <file>', 'the JWKS of trusted token issuers')
  if (apart && anyOf('hub'))
    command.requiredOption('--pilot <url>', 'the HTTP port of a pilot in another process')
  if (apart && anyOf('mixer'))
    command.option('--hub <url>', 'the hub in another process that spans go to; without it they are dropped')
  command
    .addOption(new Option('--log-format <format>').choices(['json', 'text']))
    .action((flags: Flags) => run(components, flags))
}

async function run(components: readonly Component[], flags: Flags): Promise<void> {
  const logger = createLogger('seined', flags.logFormat ? { format: flags.logFormat } : {})
  // What gRPC finds worth saying is told by the one who called it; its own lines are no JSON.
  setLogger({ error: (...words) => logger.debug({ grpc: words.map(String).join(' ') }, 'grpc says') })
  const settings: SeinedSettings = {
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
  const signal = shutdownSignal()
  const seined = new Seined({ settings, clock: systemClock, logger })
  try {
    const started = await Promise.race([seined.start(), signal])
    if (started === undefined) logger.info({ components }, 'ready')
  } catch (failure) {
    logger.fatal({ reason: errorMessage(failure) }, 'the control plane can not start')
    await seined.close().catch(() => {})
    process.exit(1)
  }
  logger.info({ signal: await signal }, 'stopping')
  await seined.close()
  process.exit(0)
}

function remoteCitadel({ citadel, rootCert, tokenFile, tokenIssuers }: Flags): SeinedSettings['citadel'] {
  if (!citadel || !rootCert || !tokenFile || !tokenIssuers) return undefined
  return { address: citadel, rootCertFile: rootCert, tokenFile, issuersFile: tokenIssuers }
}

function collect(value: string, all: readonly string[]): readonly string[] {
  return [...all, value]
}

function port(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 65535)
    throw new InvalidArgumentError('a port is 1 to 65535')
  return value
}

function ipAddress(text: string): string {
  if (isIP(text) === 0) throw new InvalidArgumentError('must be an IP address')
  return text
}

/** `90s`, `15m`, `24h` in ms. */
function duration(text: string): number {
  const [, number, unit] = /^(\d+)([smh])$/.exec(text) ?? []
  const ms = Number(number) * UNIT_MS[unit as keyof typeof UNIT_MS]
  if (!(ms > 0)) throw new InvalidArgumentError('a duration is a whole number with s, m or h, such as 24h')
  return ms
}
