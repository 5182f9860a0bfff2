import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Citadel } from '@seine/citadel'
import { type Clock, type Closable, closeAll, createMetrics, type Logger, type Registry } from '@seine/kit'
import { addTraceReceiver, type ReceivedSpan } from '@seine/mixer-telemetry'
import { FileSource } from '@seine/source-files'
import { grpcServer, listenGrpc } from './grpc.ts'
import { listenHttp } from './http.ts'
import { Pilot } from './pilot.ts'
import { SERVER_NAMES, type SeinedSettings } from './settings.ts'

const DAY_MS = 24 * 3_600_000

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

  async #startTls(pilot: Pilot | undefined, withCitadel: boolean): Promise<void> {
    if (!pilot && !withCitadel) return
    const { settings, logger, clock } = this.#options
    const { bind, ports, trustDomain, stateFolder } = settings
    const citadel = await Citadel.open({
      folder: join(stateFolder, 'citadel'),
      trustDomain,
      clock,
      logger,
      metrics: this.#metrics,
      maxTtlMs: DAY_MS,
    })
    const identity = await citadel.serverCertificate(SERVER_NAMES, [...new Set(['127.0.0.1', bind])])
    const server = grpcServer(grpc => {
      if (withCitadel) citadel.addTo(grpc)
      pilot?.discovery.addTo(grpc, metadata => citadel.authenticate(metadata))
    })
    this.#parts.push(await listenGrpc(server, bind, ports.tls, identity))
    if (!pilot) return
    const plaintext = grpcServer(grpc => pilot.discovery.addTo(grpc))
    this.#parts.push(await listenGrpc(plaintext, '127.0.0.1', ports.xdsPlaintext))
  }

  async #startMixer(deliver: (spans: readonly ReceivedSpan[]) => void): Promise<void> {
    const { bind, ports } = this.#options.settings
    const server = grpcServer(grpc => addTraceReceiver(grpc, deliver))
    this.#parts.push(await listenGrpc(server, bind, ports.otlp))
  }

  async #startHub(
    _pilot: Pilot | undefined,
    _withHub: boolean,
  ): Promise<(spans: readonly ReceivedSpan[]) => void> {
    return () => {}
  }
}
