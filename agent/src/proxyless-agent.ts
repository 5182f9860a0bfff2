import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { createMetrics, errorMessage, Gauge, type Registry } from '@seine/kit'
import type { AgentOptions } from './agent.ts'
import { writeCertificate } from './certificate-files.ts'
import { CertificateKeeper, type WorkloadCertificate } from './certificate-keeper.ts'
import { adsSocketPath, grpcBootstrap } from './grpc-bootstrap.ts'
import { type AgentSettings, hasIpv6 } from './settings.ts'
import { StatusServer } from './status-server.ts'
import { bearer, controlPlaneClient } from './upstream.ts'
import { addXdsRelay } from './xds-relay.ts'

/**
 * Beside an application whose own gRPC library is its proxy: there is no Envoy. It writes the library's bootstrap,
 * relays its questions to pilot and, where it is told to, keeps the workload's certificate in files.
 */
export class ProxylessAgent {
  readonly #options: AgentOptions
  readonly #closers: (() => void | Promise<void>)[] = []
  #keeper: CertificateKeeper | undefined
  #waitsFor: string | undefined = 'no certificate yet'
  #isStopping = false
  /** Certificates are written one after the other. */
  #written: Promise<void> = Promise.resolve()

  constructor(options: AgentOptions) {
    this.#options = options
  }

  /** Starts everything. Rejects when a port is taken or a file can't be written; does not wait for the control plane. */
  async start(): Promise<void> {
    const { settings, logger } = this.#options
    await mkdir(settings.runDir, { recursive: true, mode: 0o700 })
    const metrics = createMetrics()
    await this.#relay(metrics)
    await this.#keepCertificate(metrics)
    const status = new StatusServer({
      ipv6: hasIpv6(settings),
      metricsPort: settings.ports.metrics,
      healthPort: settings.ports.health,
      adminPort: undefined,
      metrics,
      application: settings.applicationMetrics,
      logger,
      notReady: () => this.notReady(),
    })
    await status.start()
    this.#closers.push(() => status.close())
    await this.#writeBootstrap(settings)
  }

  /** What readiness still waits for, or undefined. */
  async notReady(): Promise<string | undefined> {
    if (this.#isStopping) return 'stopping'
    const failure = this.#keeper?.failure
    return this.#waitsFor && failure ? `${this.#waitsFor}: ${failure}` : this.#waitsFor
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    for (const close of this.#closers.reverse()) await close()
    await this.#written
  }

  /** The socket is the user's alone: what is asked there is asked with the workload's token. */
  async #relay(metrics: Registry): Promise<void> {
    const { settings, logger } = this.#options
    const connected = new Gauge({
      name: 'seine_agent_control_plane_connected',
      help: '1 while the control plane answers',
      registers: [metrics],
    })
    const client = await controlPlaneClient(settings.xdsAddress, settings.rootCertFile)
    const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 })
    addXdsRelay(server, {
      client,
      authorize: () => bearer(settings.tokenFile),
      logger,
      onConnected: is => connected.set(is ? 1 : 0),
    })
    const path = adsSocketPath(settings)
    await rm(path, { force: true })
    await new Promise<void>((resolve, reject) =>
      server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), failure =>
        failure ? reject(failure) : resolve(),
      ),
    )
    await chmod(path, 0o600)
    this.#closers.push(
      () => rm(path, { force: true }),
      () => client.close(),
      () => server.forceShutdown(),
    )
  }

  async #keepCertificate(metrics: Registry): Promise<void> {
    const { settings, clock, logger, random } = this.#options
    const folder = settings.proxyless?.certificateFolder
    if (folder === undefined) {
      this.#waitsFor = undefined
      return
    }
    const client = await controlPlaneClient(settings.caAddress, settings.rootCertFile)
    const authorize = () => bearer(settings.tokenFile)
    const keeper = new CertificateKeeper({ settings, client, authorize, clock, logger, metrics, random })
    this.#keeper = keeper
    const stop = keeper.subscribe(certificate => {
      this.#written = this.#written.then(() => this.#write(folder, certificate))
    })
    this.#closers.push(
      () => client.close(),
      () => keeper.close(),
      () => void stop(),
    )
    keeper.start()
  }

  async #write(folder: string, certificate: WorkloadCertificate): Promise<void> {
    try {
      await writeCertificate(folder, certificate)
      this.#waitsFor = undefined
    } catch (failure) {
      const reason = errorMessage(failure)
      this.#waitsFor = `the certificate can't be written to ${folder}: ${reason}`
      this.#options.logger.error({ folder, reason }, "the certificate can't be written")
    }
  }

  /** Libraries read it once, when the application makes its first channel: it is there at once or whole. */
  async #writeBootstrap(settings: AgentSettings): Promise<void> {
    const file = settings.proxyless?.bootstrapFile
    if (file === undefined) return
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(`${file}.new`, `${JSON.stringify(grpcBootstrap(settings), null, 2)}\n`, { mode: 0o600 })
    await rename(`${file}.new`, file)
  }
}
