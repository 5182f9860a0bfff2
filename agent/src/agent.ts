import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Client, Server, ServerCredentials } from '@grpc/grpc-js'
import { ensureEnvoy } from '@seine/envoy-binary'
import { type Clock, createMetrics, Gauge, type Logger, type Registry } from '@seine/kit'
import { bootstrap, socketPath } from './bootstrap.ts'
import { CertificateKeeper } from './certificate-keeper.ts'
import { readResolvers } from './dns-forward.ts'
import { DnsServer } from './dns-server.ts'
import { EnvoyProcess } from './envoy-process.ts'
import { NameTable } from './name-table.ts'
import { addSecretService } from './sds-service.ts'
import type { AgentSettings } from './settings.ts'
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
  #keeper: CertificateKeeper | undefined
  #stopping = false
  #server: Server | undefined

  constructor(options: AgentOptions) {
    this.#options = options
  }

  /** Starts everything. Rejects when a port is taken or Envoy can't be found; waits for neither control plane nor readiness. */
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
    this.#names.follow({ settings, client: xds, authorize, clock, logger })
    const dns = new DnsServer({
      port: settings.ports.dns,
      lookUp: name => this.#names.lookUp(name),
      resolvers: await readResolvers(settings.resolvConf),
      clock,
      logger,
    })
    await dns.start()
    const status = new StatusServer({
      metricsPort: settings.ports.metrics,
      healthPort: settings.ports.health,
      adminPort: settings.ports.admin,
      metrics,
      application: settings.applicationMetrics,
      logger,
      notReady: () => this.notReady(),
    })
    await status.start()
    this.#closers.push(
      () => status.close(),
      () => dns.close(),
      () => this.#names.close(),
      () => keeper.close(),
    )
    await this.#startEnvoy(metrics)
  }

  /** What readiness still waits for, or undefined. */
  async notReady(): Promise<string | undefined> {
    if (this.#stopping) return 'stopping'
    const keeper = this.#keeper
    if (!keeper?.current)
      return keeper?.failure ? `no certificate yet: ${keeper.failure}` : 'no certificate yet'
    if (!this.#names.loaded) return 'no name table yet'
    return (await this.#envoy?.live()) ? undefined : 'envoy is not live yet'
  }

  /** Drains and ends Envoy, then everything else. */
  async stop(): Promise<void> {
    this.#stopping = true
    await this.#envoy?.stop()
    for (const close of this.#closers) await close()
    this.#server?.forceShutdown()
    await rm(socketPath(this.#options.settings), { force: true })
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

  async #startEnvoy(metrics: Registry): Promise<void> {
    const { settings, clock, logger } = this.#options
    const bootstrapFile = join(settings.runDir, 'bootstrap.json')
    await writeFile(bootstrapFile, JSON.stringify(bootstrap(settings), null, 2))
    let path = settings.envoyPath
    if (!path) {
      const found = await ensureEnvoy(step => logger.info(step))
      if (!found.ok) throw new Error(found.error.message)
      path = found.value.path
    }
    this.#envoy = new EnvoyProcess({
      path,
      bootstrapFile,
      concurrency: settings.concurrency,
      adminPort: settings.ports.admin,
      drainMs: settings.drainMs,
      clock,
      logger,
      metrics,
    })
    this.#envoy.start()
  }
}
