import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Server } from '@grpc/grpc-js'
import { authenticateBearer, Citadel, requestServerCertificate, TokenVerifier } from '@seine/citadel'
import { Hub, type HubInputs } from '@seine/insights'
import { type Clock, type Closable, closeAll, createMetrics, type Logger, type Registry } from '@seine/kit'
import { addTraceReceiver, type ReceivedSpan } from '@seine/mixer-telemetry'
import { MeshModel } from '@seine/model'
import type { Authenticate } from '@seine/pilot-discovery'
import { FileSource } from '@seine/source-files'
import { grpcServer, listenGrpc, type ServerIdentity } from './grpc.ts'
import { listenHttp } from './http.ts'
import { localInputs, remoteInputs, spansTo } from './hub-inputs.ts'
import { Pilot } from './pilot.ts'
import { SERVER_NAMES, type SeinedSettings } from './settings.ts'

const DAY_MS = 24 * 3_600_000
const SCRAPE_MS = 5000
/** The dashboard of this installation. */
const BUILT_DASHBOARD = fileURLToPath(new URL('../../dashboard/dist', import.meta.url))

/** What a control-plane process needs from outside. */
export interface SeinedOptions {
  readonly settings: SeinedSettings
  readonly clock: Clock
  readonly logger: Logger
}

/** A running control plane, or a part of one. */
export class Seined implements Closable {
  readonly #options: SeinedOptions
  readonly #parts: Closable[] = []
  readonly #metrics: Registry = createMetrics()
  #ready = false

  constructor(options: SeinedOptions) {
    this.#options = options
  }

  /** Starts the components in the order in which they need each other. Rejects when one can't start; close it then too. */
  async start(): Promise<void> {
    const { settings } = this.#options
    const runs = (component: SeinedSettings['components'][number]) => settings.components.includes(component)
    await mkdir(settings.stateFolder, { recursive: true, mode: 0o700 })
    const pilot = runs('pilot')
      ? new Pilot({ logger: this.#options.logger, clock: this.#options.clock, metrics: this.#metrics })
      : undefined
    this.#parts.push(
      await listenHttp({
        port: settings.ports.http,
        metrics: this.#metrics,
        ready: () => this.#ready,
        pilot,
      }),
    )
    if (pilot) await this.#load(pilot)
    await this.#startTls(pilot, runs('citadel'))
    const deliver = await this.#startHub(pilot, runs('hub'))
    if (runs('mixer')) await this.#startMixer(deliver)
    this.#ready = true
  }

  async close(): Promise<void> {
    this.#ready = false
    await closeAll(this.#parts)
  }

  /** Configuration is read before anyone is served: a proxy that connects early must not be told that there is none. */
  async #load(pilot: Pilot): Promise<void> {
    const { settings, logger, clock } = this.#options
    const source = new FileSource({ folders: settings.configFolders, logger, clock }, (change, problems) =>
      pilot.apply(change, problems),
    )
    this.#parts.push(source)
    await source.start()
  }

  /** Certificates and configuration over TLS. Without citadel in this process, pilot asks the one it is told of. */
  async #startTls(pilot: Pilot | undefined, withCitadel: boolean): Promise<void> {
    if (!pilot && !withCitadel) return
    const { bind, ports } = this.#options.settings
    const authority = withCitadel ? await this.#ownCitadel() : await this.#remoteCitadel()
    const server = grpcServer(grpc => {
      authority.addTo?.(grpc)
      pilot?.discovery.addTo(grpc, authority.authenticate)
    })
    this.#parts.push(await listenGrpc(server, bind, ports.tls, authority.identity))
    if (!pilot) return
    const plaintext = grpcServer(grpc => pilot.discovery.addTo(grpc))
    this.#parts.push(await listenGrpc(plaintext, '127.0.0.1', ports.xdsPlaintext))
  }

  async #ownCitadel(): Promise<Authority> {
    const { settings, logger, clock } = this.#options
    const folder = join(settings.stateFolder, 'citadel')
    const citadel = await Citadel.open({
      folder,
      trustDomain: settings.trustDomain,
      clock,
      logger,
      metrics: this.#metrics,
      maxTtlMs: DAY_MS,
    })
    const identity = await citadel.serverCertificate(SERVER_NAMES, [...new Set(['127.0.0.1', settings.bind])])
    return {
      identity,
      authenticate: metadata => citadel.authenticate(metadata),
      addTo: server => citadel.addTo(server),
    }
  }

  async #remoteCitadel(): Promise<Authority> {
    const { settings, clock } = this.#options
    const remote = settings.citadel
    if (!remote)
      throw new Error('pilot without citadel needs --citadel, --root-cert, --token-file and --token-issuers')
    const [rootPem, token] = await Promise.all([
      readFile(remote.rootCertFile, 'utf8'),
      readFile(remote.tokenFile, 'utf8'),
    ])
    const addresses = [...new Set(['127.0.0.1', settings.bind])]
    const identity = await requestServerCertificate({
      address: remote.address,
      rootPem,
      token: token.trim(),
      trustDomain: settings.trustDomain,
      names: SERVER_NAMES,
      addresses,
    })
    const verifier = new TokenVerifier(remote.issuersFile, () => clock.now())
    return {
      identity,
      authenticate: metadata => authenticateBearer(metadata, verifier, settings.trustDomain),
    }
  }

  async #startMixer(deliver: (spans: readonly ReceivedSpan[]) => void): Promise<void> {
    const { bind, ports } = this.#options.settings
    const server = grpcServer(grpc => addTraceReceiver(grpc, deliver))
    this.#parts.push(await listenGrpc(server, bind, ports.otlp))
  }

  /** The hub, here or elsewhere. @returns how spans reach it. */
  async #startHub(
    pilot: Pilot | undefined,
    withHub: boolean,
  ): Promise<(spans: readonly ReceivedSpan[]) => void> {
    const { settings, logger, clock } = this.#options
    if (!withHub) return spansTo(settings.hubUrl, logger)
    const inputs = pilot ? localInputs(pilot, settings) : await this.#remoteInputs()
    const dashboardFolder = settings.dashboardFolder ?? BUILT_DASHBOARD
    const hub = new Hub(inputs, {
      host: '127.0.0.1',
      port: settings.ports.hub,
      dashboardFolder,
      scrapeIntervalMs: SCRAPE_MS,
      clock,
      logger,
    })
    await hub.start()
    this.#parts.push(hub)
    return spans => hub.addSpans(spans)
  }

  async #remoteInputs(): Promise<HubInputs> {
    const { settings, logger, clock } = this.#options
    if (!settings.pilotUrl) throw new Error('the hub without pilot needs --pilot, the URL of its HTTP port')
    const model = new MeshModel()
    const source = new FileSource({ folders: settings.configFolders, logger, clock }, change =>
      model.apply(change),
    )
    this.#parts.push(source)
    await source.start()
    return remoteInputs(model, settings.pilotUrl, settings)
  }
}

/** What lets callers of the TLS port in. */
interface Authority {
  readonly identity: ServerIdentity
  readonly authenticate: Authenticate
  readonly addTo?: (server: Server) => void
}
