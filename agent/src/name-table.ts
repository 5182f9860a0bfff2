import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { Client, ClientDuplexStream, Metadata, ServiceError } from '@grpc/grpc-js'
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { type Clock, errorMessage, type Logger } from '@seine/kit'
import { type AgentSettings, nodeId, nodeMetadata } from './settings.ts'
import { same } from './upstream.ts'

/** The type of pilot's table of names; its bytes are JSON. */
const TYPE = 'type.googleapis.com/seine.nds.v1.NameTable'
const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'
const RETRY_MS = 1000

interface Entry {
  readonly ips: readonly string[]
  readonly aliases: readonly string[]
}

/** Keeps the names of the mesh's services, by a stream of the agent's own. The last table stays while pilot is away. */
export class NameTable {
  #byName = new Map<string, readonly string[]>()
  #loaded = false
  #closed = false
  #stream: ClientDuplexStream<Buffer, Buffer> | undefined

  /** Whether a table has arrived. */
  get loaded(): boolean {
    return this.#loaded
  }

  /** The addresses of a name, or undefined when the mesh has no such name. */
  lookUp(name: string): readonly string[] | undefined {
    return this.#byName.get(name.toLowerCase().replace(/\.$/, ''))
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
      metadata =>
        this.#open(
          options.client.makeBidiStreamRequest(METHOD, same, same, metadata),
          options.settings,
          again,
        ),
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
      const response = fromBinary(DeltaDiscoveryResponseSchema, message)
      for (const { resource } of response.resources) if (resource) this.#take(resource.value)
      stream.write(request({ typeUrl: TYPE, responseNonce: response.nonce }))
    })
    const node = { id: nodeId(settings), cluster: 'seine-agent', metadata: nodeMetadata(settings) }
    stream.write(request({ typeUrl: TYPE, resourceNamesSubscribe: ['nametable'], node }))
  }

  #take(bytes: Uint8Array): void {
    const { table } = JSON.parse(new TextDecoder().decode(bytes)) as {
      table: Readonly<Record<string, Entry>>
    }
    const next = new Map<string, readonly string[]>()
    for (const [name, { ips, aliases }] of Object.entries(table))
      for (const alias of [name, ...aliases]) next.set(alias, ips)
    this.#byName = next
    this.#loaded = true
  }
}

function request(init: Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1]): Buffer {
  return Buffer.from(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, init)))
}
