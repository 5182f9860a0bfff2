import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Client, type Metadata, Server, ServerCredentials } from '@grpc/grpc-js'
import { ensureEnvoy } from '@seine/envoy-binary'
import { type Clock, createMetrics, errorMessage, Gauge, type Logger, type Registry } from '@seine/kit'
import { askApplication } from './app-probes.ts'
import { bootstrap, socketPath } from './bootstrap.ts'
import { type BootstrapPatch, BootstrapPatches, withPatches } from './bootstrap-patches.ts'
import { CertificateKeeper } from './certificate-keeper.ts'
import { readResolvers } from './dns-forward.ts'
import { DnsServer } from './dns-server.ts'
import { EnvoyProcess, refusal } from './envoy-process.ts'
import { HealthProber } from './health-prober.ts'
import { NameTable } from './name-table.ts'
import { PilotStream } from './pilot-stream.ts'
import { probeOnce } from './probes.ts'
import { addSecretService } from './sds-service.ts'
import { type AgentSettings, hasIpv6 } from './settings.ts'
import { StatusServer } from './status-server.ts'
import { bearer, controlPlaneClient } from './upstream.ts'
import { addXdsRelay } from './xds-relay.ts'

/** What the agent needs from outside. */
export interface AgentOptions {
  readonly settings: AgentSettings
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
}

/** A sidecar: Envoy and what it needs beside it. */
export class Agent {
  readonly #options: AgentOptions
  readonly #names = new NameTable()
  readonly #closers: (() => void | Promise<void>)[] = []
  #envoy: EnvoyProcess | undefined
  #patches: BootstrapPatches | undefined
  /** Ends when Envoy has been started, which waits for pilot. */
  #starting: Promise<void> | undefined
  #keeper: CertificateKeeper | undefined
  #pilot: PilotStream | undefined
  #stopping = false
  #server: Server | undefined

  constructor(options: AgentOptions) {
    this.#options = options
  }

  /** Starts everything. Rejects when a port is taken or Envoy can't be found; waits for neither the control plane, without which Envoy is not started, nor readiness. */
  async start(): Promise<void> {
    const { settings, clock, logger, random } = this.#options
    await mkdir(settings.runDir, { recursive: true, mode: 0o700 })
    const metrics = createMetrics()
    const connected = new Gauge({
      name: 'seine_agent_control_plane_connected',
      help: '1 while the control plane answers',
      registers: [metrics],
    })
    const authorize = () => bearer(settings.tokenFile)
    const [ca, xds] = await this.#clients()
    const keeper = new CertificateKeeper({ settings, client: ca, authorize, clock, logger, metrics, random })
    this.#keeper = keeper
    const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 })
    addSecretService(server, keeper, logger)
    addXdsRelay(server, { client: xds, authorize, logger, onConnected: is => connected.set(is ? 1 : 0) })
    await this.#listen(server)
    keeper.start()
    this.#followPilot(xds, authorize)
    const ipv6 = hasIpv6(settings)
    const dns = new DnsServer({
      ipv6,
      port: settings.ports.dns,
      lookUp: name => this.#names.lookUp(name),
      resolvers: await readResolvers(settings.resolvConf),
      clock,
      logger,
    })
    await dns.start()
    const status = new StatusServer({
      ipv6,
      metricsPort: settings.ports.metrics,
      healthPort: settings.ports.health,
      adminPort: settings.ports.admin,
      metrics,
      application: settings.applicationMetrics,
      probe: path => askApplication(settings, path),
      logger,
      notReady: () => this.notReady(),
    })
    await status.start()
    this.#closers.push(
      () => status.close(),
      () => dns.close(),
      () => keeper.close(),
    )
    const path = await this.#envoyPath()
    this.#patches = new BootstrapPatches({ settings, client: xds, authorize, clock, logger })
    this.#starting = this.#startEnvoy(path, this.#patches, metrics).catch(failure =>
      logger.fatal({ reason: errorMessage(failure) }, 'envoy can not be started'),
    )
  }

  /** What readiness still waits for, or undefined. */
  async notReady(): Promise<string | undefined> {
    if (this.#stopping) return 'stopping'
    const keeper = this.#keeper
    if (!keeper?.current)
      return keeper?.failure ? `no certificate yet: ${keeper.failure}` : 'no certificate yet'
    if (!this.#names.loaded) return 'no name table yet'
    if (!this.#envoy) return 'the control plane has not said yet how envoy is to start'
    return (await this.#envoy.live()) ? undefined : 'envoy is not live yet'
  }

  /** Drains and ends Envoy, then everything else. */
  async stop(): Promise<void> {
    this.#stopping = true
    // Whoever calls a workload that has registered is told at once, and not when its entry has gone.
    if (this.#options.settings.group !== undefined)
      this.#pilot?.report({ healthy: false, reason: 'the workload is stopping' })
    this.#patches?.close()
    await this.#starting
    await this.#envoy?.stop()
    for (const close of this.#closers) await close()
    this.#server?.forceShutdown()
    await rm(socketPath(this.#options.settings), { force: true })
  }

  /** Names for everyone; a workload that has registered by a group is told how it is probed, and tells how it is. */
  #followPilot(client: Client, authorize: () => Promise<Metadata>): void {
    const { settings, clock, logger } = this.#options
    const permissions = { exec: settings.allowExecProbes }
    const prober = new HealthProber({
      clock,
      logger,
      // A workload whose sidecar is not ready could not be called.
      ask: async probe => (await this.notReady()) ?? probeOnce(probe, permissions),
      onHealth: health => pilot.report(health),
    })
    const subscriptions = settings.group === undefined ? [this.#names] : [this.#names, prober]
    const pilot = new PilotStream({ settings, client, authorize, clock, logger }, subscriptions)
    this.#pilot = pilot
    pilot.start()
    this.#closers.push(
      () => prober.close(),
      () => pilot.close(),
    )
  }

  async #clients(): Promise<[ca: Client, xds: Client]> {
    const { caAddress, xdsAddress, rootCertFile } = this.#options.settings
    const xds = await controlPlaneClient(xdsAddress, rootCertFile)
    const ca = caAddress === xdsAddress ? xds : await controlPlaneClient(caAddress, rootCertFile)
    this.#closers.push(
      () => ca.close(),
      () => xds.close(),
    )
    return [ca, xds]
  }

  /** The socket is the user's alone: it hands out the workload's private key. */
  async #listen(server: Server): Promise<void> {
    const path = socketPath(this.#options.settings)
    await rm(path, { force: true })
    await new Promise<void>((resolve, reject) =>
      server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), failure =>
        failure ? reject(failure) : resolve(),
      ),
    )
    await chmod(path, 0o600)
    this.#server = server
  }

  /** Where Envoy is; rejects when it is nowhere. */
  async #envoyPath(): Promise<string> {
    const { settings, logger } = this.#options
    if (settings.envoyPath) return settings.envoyPath
    const found = await ensureEnvoy(step => logger.info(step))
    if (!found.ok) throw new Error(found.error.message)
    return found.value.path
  }

  async #startEnvoy(path: string, patches: BootstrapPatches, metrics: Registry): Promise<void> {
    const { settings, clock, logger } = this.#options
    const changes = await patches.read()
    if (!changes) return
    this.#envoy = new EnvoyProcess({
      path,
      bootstrapFile: await this.#writeBootstrap(path, changes),
      concurrency: settings.concurrency,
      adminPort: settings.ports.admin,
      drainMs: settings.drainMs,
      idleAfterMs: settings.exitOnZeroConnections ? settings.minimumDrainMs : undefined,
      listenerDrainS: settings.listenerDrainS,
      logFlushMs: settings.logFlushMs,
      logFlushKib: settings.logFlushKib,
      logLevel: settings.envoyLogLevel,
      componentLogLevel: settings.envoyComponentLogLevel,
      clock,
      logger,
      metrics,
    })
    this.#envoy.start()
  }

  /** Writes the bootstrap. Where patches make one of it that Envoy refuses, it starts without them. @returns its path. */
  async #writeBootstrap(path: string, patches: readonly BootstrapPatch[]): Promise<string> {
    const { settings, logger } = this.#options
    const file = join(settings.runDir, 'bootstrap.json')
    const own = bootstrap(settings)
    if (patches.length > 0) {
      const objection = await withPatches(own, patches).then(
        async patched => {
          await writeFile(file, JSON.stringify(patched, null, 2))
          return refusal(path, file)
        },
        (failure: unknown) => errorMessage(failure),
      )
      if (objection === undefined) return file
      logger.error(
        { reason: objection },
        'envoy refuses the patched bootstrap: it starts without the patches',
      )
    }
    await writeFile(file, JSON.stringify(own, null, 2))
    return file
  }
}
