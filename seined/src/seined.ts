import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Server } from '@grpc/grpc-js'
import type { WorkloadEntry } from '@seine/api'
import {
  authenticateBearer,
  CertificateRefused,
  Citadel,
  requestServerCertificate,
  TokenVerifier,
} from '@seine/citadel'
import { Hub, type HubInputs } from '@seine/insights'
import {
  type Clock,
  type Closable,
  closeAll,
  createMetrics,
  errorMessage,
  type Logger,
  type Registry,
} from '@seine/kit'
import { addTraceReceiver, type ReceivedSpan } from '@seine/mixer-telemetry'
import { MeshModel } from '@seine/model'
import type { Authenticate } from '@seine/pilot-discovery'
import { FileSource } from '@seine/source-files'
import { grpcServer, listenGrpc } from './grpc.ts'
import { listenHttp } from './http.ts'
import { localInputs, remoteInputs, remotePilot } from './hub-inputs.ts'
import { listenFailure } from './listen-failure.ts'
import { Pilot } from './pilot.ts'
import { RegistrationStore, type StoredRegistration } from './registration-store.ts'
import { RemoteEntries } from './remote-entries.ts'
import { type ServerCertificate, ServerIdentity } from './server-identity.ts'
import { SERVER_NAMES, type SeinedSettings } from './settings.ts'
import { spansTo } from './span-sender.ts'

const SCRAPE_MS = 5000
const CITADEL_RETRY_MS = 1000
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
  #closed = false

  constructor(options: SeinedOptions) {
    this.#options = options
  }

  /** Starts the components in the order in which they need each other. Rejects when one can't start; close it then too. */
  async start(): Promise<void> {
    const { settings } = this.#options
    const runs = (component: SeinedSettings['components'][number]) => settings.components.includes(component)
    const pilot = runs('pilot') ? await this.#pilot() : undefined
    this.#parts.push(
      await listenHttp({
        port: settings.ports.http,
        metrics: this.#metrics,
        ready: () => this.#ready,
        pilot,
      }),
    )
    if (pilot) {
      this.#parts.push(pilot)
      await this.#load(pilot)
    }
    await this.#startTls(pilot, runs('citadel'))
    const hub = runs('hub') ? await this.#startHub(pilot) : undefined
    if (runs('mixer'))
      await this.#startMixer(
        hub ? spans => hub.addSpans(spans) : spansTo(settings.hubUrl, this.#options.logger),
      )
    this.#ready = true
  }

  async close(): Promise<void> {
    this.#ready = false
    this.#closed = true
    await closeAll(this.#parts)
  }

  async #pilot(): Promise<Pilot> {
    const { settings, logger, clock } = this.#options
    const store = new RegistrationStore({ folder: join(settings.stateFolder, 'pilot'), clock, logger })
    this.#parts.push(store)
    const stored = await store.read()
    const registrations = { stored, save: (all: readonly StoredRegistration[]) => store.save(all) }
    return new Pilot({ logger, clock, metrics: this.#metrics, registrations })
  }

  /** Configuration is read before anyone is served: a proxy that connects early must not be told that there is none. */
  async #load(pilot: Pilot): Promise<void> {
    const { settings, logger, clock } = this.#options
    if (settings.configFolders.length === 0)
      logger.warn('no folder of configuration is given with --config: the mesh knows no services')
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
    this.#parts.push(authority.identity)
    const purpose = 'certificates and configuration over TLS'
    const tls = { host: bind, port: ports.tls, purpose, option: '--tls-port' }
    this.#parts.push(await listenGrpc(server, tls, authority.identity))
    if (!pilot) return
    const plaintext = grpcServer(grpc => pilot.discovery.addTo(grpc))
    const wanted = { host: '127.0.0.1', port: ports.xdsPlaintext, purpose: 'ADS in plaintext' }
    this.#parts.push(await listenGrpc(plaintext, { ...wanted, option: '--xds-port' }))
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
      maxTtlMs: settings.workloadTtlMs,
    })
    const request = () => citadel.serverCertificate(SERVER_NAMES, this.#addresses())
    return {
      identity: await ServerIdentity.obtain({ request, clock, logger }),
      authenticate: metadata => citadel.authenticate(metadata),
      addTo: server => citadel.addTo(server),
    }
  }

  async #remoteCitadel(): Promise<Authority> {
    const { settings, logger, clock } = this.#options
    const remote = settings.citadel
    if (!remote)
      throw new Error('pilot without citadel needs --citadel, --root-cert, --token-file and --token-issuers')
    const { address, rootCertFile, tokenFile, issuersFile } = remote
    // The platform replaces the token before it ends: it is read each time.
    const request = async () =>
      requestServerCertificate({
        address,
        rootPem: await readGiven('--root-cert', rootCertFile),
        token: (await readGiven('--token-file', tokenFile)).trim(),
        trustDomain: settings.trustDomain,
        names: SERVER_NAMES,
        addresses: this.#addresses(),
      })
    const verifier = new TokenVerifier(issuersFile, () => clock.now())
    return {
      identity: await ServerIdentity.obtain({ request: () => this.#patiently(request), clock, logger }),
      authenticate: metadata => authenticateBearer(metadata, verifier, settings.trustDomain),
    }
  }

  /** Components start in any order: one that is not there yet is waited for. */
  async #patiently(request: () => Promise<ServerCertificate>): Promise<ServerCertificate> {
    const { logger, clock } = this.#options
    for (;;) {
      try {
        return await request()
      } catch (failure) {
        if (!(failure instanceof CertificateRefused && failure.mayPass) || this.#closed) throw failure
        logger.warn({ reason: failure.message, retryInMs: CITADEL_RETRY_MS }, 'waiting for citadel')
        await new Promise<void>(resolve => clock.after(CITADEL_RETRY_MS, resolve))
      }
    }
  }

  /** The addresses that the TLS port is reached at. */
  #addresses(): string[] {
    return [...new Set(['127.0.0.1', this.#options.settings.bind])]
  }

  async #startMixer(deliver: (spans: readonly ReceivedSpan[]) => void): Promise<void> {
    const { bind, ports } = this.#options.settings
    const server = grpcServer(grpc => addTraceReceiver(grpc, deliver))
    const wanted = { host: bind, port: ports.otlp, purpose: 'spans over OTLP', option: '--otlp-port' }
    this.#parts.push(await listenGrpc(server, wanted))
  }

  async #startHub(pilot: Pilot | undefined): Promise<Hub> {
    const { settings, logger, clock } = this.#options
    const inputs = pilot ? localInputs(pilot, settings) : await this.#remoteInputs()
    const dashboardFolder = settings.dashboardFolder ?? BUILT_DASHBOARD
    const at = { host: '127.0.0.1', port: settings.ports.hub }
    const hub = new Hub(inputs, {
      ...at,
      dashboardFolder,
      scrapeIntervalMs: SCRAPE_MS,
      clock,
      logger,
    })
    this.#parts.push(hub)
    await hub.start().catch(failure => {
      throw listenFailure({ ...at, purpose: 'the dashboard and its API', option: '--hub-port' }, failure)
    })
    return hub
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
    const pilot = remotePilot(settings.pilotUrl)
    const read = async () => (await pilot.get('/debug/registered')) as readonly WorkloadEntry[]
    const entries = new RemoteEntries({ model, read, clock, logger })
    this.#parts.push(entries)
    await entries.start()
    return remoteInputs(model, pilot, settings)
  }
}

/** What lets callers of the TLS port in. */
interface Authority {
  readonly identity: ServerIdentity
  readonly authenticate: Authenticate
  readonly addTo?: (server: Server) => void
}

/** Reads a file that an option names; rejects with the option's name when it can't be read. */
async function readGiven(option: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (failure) {
    throw new Error(`can't read the file that ${option} names: ${errorMessage(failure)}`)
  }
}
