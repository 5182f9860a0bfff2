import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { Client, ClientDuplexStream, Metadata, ServiceError } from '@grpc/grpc-js'
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { type Clock, errorMessage, type Logger } from '@seine/kit'
import { type AgentSettings, nodeId, nodeMetadata } from './settings.ts'
import { DELTA_ADS, same } from './upstream.ts'

/** The type of pilot's names: one resource for each host, its bytes JSON. */
const TYPE = 'type.googleapis.com/seine.nds.v1.NameTable'
const RETRY_MS = 1000
/** `INVALID_ARGUMENT` of google.rpc.Code. */
const INVALID = 3

/** What a host resolves to, and the shorter names it is called by. */
interface Entry {
  readonly version: string
  readonly ips: readonly string[]
  readonly aliases: readonly string[]
}

/**
 * Keeps the names of the mesh's services, by a stream of the agent's own. What it knows stays while pilot is
 * away, and is brought up to date when it is back.
 */
export class NameTable {
  readonly #entries = new Map<string, Entry>()
  /** Alias → the hosts that have it, in the order of their names; the first answers. */
  readonly #hostsByAlias = new Map<string, readonly string[]>()
  #loaded = false
  #closed = false
  #stream: ClientDuplexStream<Buffer, Buffer> | undefined

  /** Whether pilot has said what names there are. */
  get loaded(): boolean {
    return this.#loaded
  }

  /** The addresses of a name, or undefined when the mesh has no such name. A host's full name comes before aliases. */
  lookUp(name: string): readonly string[] | undefined {
    const asked = name.toLowerCase().replace(/\.$/, '')
    const host = this.#entries.has(asked) ? asked : this.#hostsByAlias.get(asked)?.[0]
    return host === undefined ? undefined : this.#entries.get(host)?.ips
  }

  /** Follows pilot's table until closed. */
  follow(options: {
    settings: AgentSettings
    client: Client
    authorize: () => Promise<Metadata>
    clock: Clock
    logger: Logger
  }): void {
    if (this.#closed) return
    const again = (reason: string) => {
      options.logger.debug({ reason }, 'name table stream ended')
      if (!this.#closed) options.clock.after(RETRY_MS, () => this.follow(options))
    }
    options.authorize().then(
      metadata => {
        if (this.#closed) return
        const stream = options.client.makeBidiStreamRequest(DELTA_ADS, same, same, metadata)
        this.#open(stream, options.settings, options.logger, again)
      },
      failure => again(errorMessage(failure)),
    )
  }

  close(): void {
    this.#closed = true
    this.#stream?.cancel()
  }

  #open(
    stream: ClientDuplexStream<Buffer, Buffer>,
    settings: AgentSettings,
    logger: Logger,
    again: (reason: string) => void,
  ): void {
    this.#stream = stream
    let over = false
    const end = (reason: string) => {
      if (over) return
      over = true
      again(reason)
    }
    stream.on('error', (failure: ServiceError) => end(failure.details || failure.message))
    stream.on('end', () => end('ended'))
    stream.on('data', (message: Buffer) => {
      let nonce = ''
      try {
        const response = fromBinary(DeltaDiscoveryResponseSchema, message)
        nonce = response.nonce
        this.#take(response)
        stream.write(request({ typeUrl: TYPE, responseNonce: nonce }))
      } catch (failure) {
        const message = errorMessage(failure)
        logger.error({ reason: message }, 'names that can not be read: those there were stay')
        stream.write(
          request({ typeUrl: TYPE, responseNonce: nonce, errorDetail: { code: INVALID, message } }),
        )
      }
    })
    const node = { id: nodeId(settings), cluster: 'seine-agent', metadata: nodeMetadata(settings) }
    // With the versions it holds, pilot tells what changed and what is gone.
    const initialResourceVersions = Object.fromEntries(
      [...this.#entries].map(([name, { version }]) => [name, version]),
    )
    stream.write(request({ typeUrl: TYPE, resourceNamesSubscribe: ['*'], initialResourceVersions, node }))
  }

  /** Takes a whole response or, when it throws, nothing of it. */
  #take({ resources, removedResources }: DeltaDiscoveryResponse): void {
    const learned = resources.flatMap(({ name, version, resource }) =>
      resource ? [[name, readEntry(version, resource.value)] as const] : [],
    )
    for (const name of removedResources) this.#forget(name)
    for (const [name, entry] of learned) this.#learn(name, entry)
    this.#loaded = true
  }

  #learn(name: string, entry: Entry): void {
    this.#forget(name)
    this.#entries.set(name, entry)
    for (const alias of entry.aliases)
      this.#hostsByAlias.set(alias, [...(this.#hostsByAlias.get(alias) ?? []), name].sort())
  }

  #forget(name: string): void {
    for (const alias of this.#entries.get(name)?.aliases ?? []) {
      const left = (this.#hostsByAlias.get(alias) ?? []).filter(host => host !== name)
      if (left.length > 0) this.#hostsByAlias.set(alias, left)
      else this.#hostsByAlias.delete(alias)
    }
    this.#entries.delete(name)
  }
}

/** Throws when the bytes hold no entry. */
function readEntry(version: string, bytes: Uint8Array): Entry {
  const { ips, aliases } = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Entry>
  if (!Array.isArray(ips) || !Array.isArray(aliases))
    throw new Error('an entry must hold "ips" and "aliases"')
  return { version, ips, aliases }
}

function request(init: Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1]): Buffer {
  return Buffer.from(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, init)))
}
