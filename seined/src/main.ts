import { isIP } from 'node:net'
import { join } from 'node:path'
import { cacheFolder, createLogger, errorMessage, shutdownSignal, systemClock } from '@seine/kit'
import { Command, InvalidArgumentError, Option } from 'commander'
import { Seined } from './seined.ts'
import { ALL_COMPONENTS, type Component, DEFAULT_PORTS, type SeinedSettings } from './settings.ts'

interface Flags {
  readonly config: readonly string[]
  readonly state: string
  readonly bind: string
  readonly trustDomain: string
  readonly xdsPort: number
  readonly tlsPort: number
  readonly httpPort: number
  readonly otlpPort: number
  readonly hubPort: number
  readonly dashboard?: string
  readonly citadel?: string
  readonly rootCert?: string
  readonly tokenFile?: string
  readonly tokenIssuers?: string
  readonly pilot?: string
  readonly hub?: string
  readonly logFormat?: 'json' | 'text'
}

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

function add(name: string, description: string, components: readonly Component[], isDefault: boolean): void {
  program
    .command(name, { isDefault })
    .description(description)
    .option(
      '--config <folder>',
      'a folder of configuration to watch; can be given several times',
      collect,
      [],
    )
    .option('--state <folder>', 'where keys are kept', join(cacheFolder(), 'state'))
    .option('--bind <address>', 'the address that sidecars reach this process at', ipAddress, '127.0.0.1')
    .option('--trust-domain <name>', 'the first part of every SPIFFE ID', 'cluster.local')
    .option('--xds-port <port>', 'ADS in plaintext, on loopback only', port, DEFAULT_PORTS.xdsPlaintext)
    .option('--tls-port <port>', 'ADS and certificates over TLS', port, DEFAULT_PORTS.tls)
    .option('--http-port <port>', 'metrics and readiness, on loopback only', port, DEFAULT_PORTS.http)
    .option('--otlp-port <port>', 'spans over OTLP (gRPC)', port, DEFAULT_PORTS.otlp)
    .option('--hub-port <port>', 'the dashboard and its API, on loopback only', port, DEFAULT_PORTS.hub)
    .option('--dashboard <folder>', 'the built dashboard; default: the one of this installation')
    .option('--citadel <host:port>', 'pilot: the TLS port of a citadel in another process')
    .option('--root-cert <file>', "pilot: the mesh's root certificate, to know that citadel by")
    .option('--token-file <file>', "pilot: the control plane's own service account token, for that citadel")
    .option('--token-issuers <file>', 'pilot: the JWKS of trusted token issuers')
    .option('--pilot <url>', 'hub: the HTTP port of a pilot in another process')
    .option('--hub <url>', 'mixer: the hub in another process that spans go to')
    .addOption(new Option('--log-format <format>').choices(['json', 'text']))
    .action((flags: Flags) => run(components, flags))
}

async function run(components: readonly Component[], flags: Flags): Promise<void> {
  const logger = createLogger('seined', flags.logFormat ? { format: flags.logFormat } : {})
  const settings: SeinedSettings = {
    components,
    configFolders: flags.config,
    stateFolder: flags.state,
    bind: flags.bind,
    trustDomain: flags.trustDomain,
    ports: {
      xdsPlaintext: flags.xdsPort,
      tls: flags.tlsPort,
      http: flags.httpPort,
      otlp: flags.otlpPort,
      hub: flags.hubPort,
    },
    citadel: remoteCitadel(flags),
    pilotUrl: flags.pilot,
    hubUrl: flags.hub,
    dashboardFolder: flags.dashboard,
  }
  const signal = shutdownSignal()
  const seined = new Seined({ settings, clock: systemClock, logger })
  try {
    await seined.start()
  } catch (failure) {
    logger.fatal({ reason: errorMessage(failure) }, 'the control plane can not start')
    await seined.close().catch(() => {})
    process.exit(1)
  }
  logger.info({ components }, 'ready')
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
