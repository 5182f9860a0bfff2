import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
  type status,
} from '@grpc/grpc-js'
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { FENCE } from './hand-fed-source.ts'

const SERVICE = '/envoy.service.discovery.v3.AggregatedDiscoveryService/'
const decoder = new TextDecoder()

/** What a client is sent, of either protocol, as short as a test wants to see it. */
export interface Received {
  readonly type: string
  readonly nonce: string
  /** Of the response; the delta protocol has versions of resources instead. */
  readonly version: string
  readonly versions: Readonly<Record<string, string>>
  /** Name → content; in the state-of-the-world protocol, which names nothing, content → content. */
  readonly resources: Readonly<Record<string, string>>
  readonly removed: readonly string[]
}

/** How a client introduces itself. */
export interface ClientOptions {
  readonly id?: string
  readonly token?: string
}

/** A real ADS client. It answers nothing by itself: a test acknowledges what it wants to. */
export class AdsClient {
  readonly #client: Client
  readonly #stream: ClientDuplexStream<Buffer, Buffer>
  readonly #isDelta: boolean
  readonly #id: string
  readonly #arrived: Received[] = []
  #wake: (() => void) | undefined
  #isNamed = false
  #fences = 0
  /** Resolves with what ended the stream; undefined when it ended well. */
  readonly ended: Promise<{ code: status; details: string } | undefined>

  private constructor(port: number, isDelta: boolean, { id = 'client', token }: ClientOptions) {
    this.#isDelta = isDelta
    this.#id = id
    const same = (value: Buffer) => value
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
    })
    const metadata = new Metadata()
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`)
    const method = isDelta ? 'DeltaAggregatedResources' : 'StreamAggregatedResources'
    this.#stream = this.#client.makeBidiStreamRequest(SERVICE + method, same, same, metadata)
    this.#stream.on('data', (message: Buffer) => {
      this.#arrived.push(isDelta ? readDelta(message) : readState(message))
      this.#wake?.()
    })
    this.ended = new Promise(resolve => {
      this.#stream.on('error', ({ code, details }: ServiceError) => resolve({ code, details }))
      this.#stream.on('end', () => resolve(undefined))
    })
  }

  static delta(port: number, options: ClientOptions = {}): AdsClient {
    return new AdsClient(port, true, options)
  }

  static stateOfTheWorld(port: number, options: ClientOptions = {}): AdsClient {
    return new AdsClient(port, false, options)
  }

  /** Sends a request; the first names the node. In the state-of-the-world protocol `subscribe` is the whole list. */
  ask(
    typeUrl: string,
    request: {
      subscribe?: readonly string[]
      unsubscribe?: readonly string[]
      held?: Readonly<Record<string, string>>
      nonce?: string
      error?: string
    } = {},
  ): void {
    const node = this.#isNamed ? {} : { node: { id: this.#id } }
    this.#isNamed = true
    const names = [...(request.subscribe ?? [])]
    const common = {
      ...node,
      typeUrl,
      responseNonce: request.nonce ?? '',
      ...(request.error === undefined ? {} : { errorDetail: { code: 3, message: request.error } }),
    }
    this.send(
      this.#isDelta
        ? delta({
            ...common,
            resourceNamesSubscribe: names,
            resourceNamesUnsubscribe: [...(request.unsubscribe ?? [])],
            initialResourceVersions: { ...request.held },
          })
        : Buffer.from(
            toBinary(
              DiscoveryRequestSchema,
              create(DiscoveryRequestSchema, { ...common, resourceNames: names }),
            ),
          ),
    )
  }

  send(message: Buffer): void {
    this.#stream.write(message)
  }

  ack({ type, nonce }: Received, subscribe: readonly string[] = []): void {
    this.ask(type, { nonce, subscribe })
  }

  nack({ type, nonce }: Received, error: string, subscribe: readonly string[] = []): void {
    this.ask(type, { nonce, error, subscribe })
  }

  /** The next response. */
  async next(): Promise<Received> {
    for (;;) {
      const first = this.#arrived.shift()
      if (first) return first
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  /**
   * All that the server sends before the answer to a question that is asked now: what it sent before, and
   * what it sends for that alone. An empty list shows that it had nothing to send.
   */
  async soFar(): Promise<Received[]> {
    // A push is sent in the same turn of the event loop: let that turn end.
    await new Promise(setImmediate)
    const name = `fence-${++this.#fences}`
    this.ask(FENCE, { subscribe: [name] })
    const before: Received[] = []
    for (let one = await this.next(); ; one = await this.next()) {
      if (one.type !== FENCE) {
        before.push(one)
        continue
      }
      this.ack(one, this.#isDelta ? [] : [name])
      return before
    }
  }

  /** Acknowledges what comes until no more does. @returns all of it. */
  async settle(subscriptions: Readonly<Record<string, readonly string[]>> = {}): Promise<Received[]> {
    const all: Received[] = []
    for (let batch = await this.soFar(); batch.length > 0; batch = await this.soFar()) {
      for (const one of batch) this.ack(one, subscriptions[one.type])
      all.push(...batch)
    }
    return all
  }

  /** Stops reading, as a client does that has too much to do; `false` reads on. */
  setStuck(isStuck: boolean): void {
    if (isStuck) this.#stream.pause()
    else this.#stream.resume()
  }

  close(): void {
    this.#stream.on('error', () => {})
    this.#stream.cancel()
    this.#client.close()
  }
}

/** The bytes of a request of the delta protocol. */
export function delta(init: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): Buffer {
  return Buffer.from(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, init)))
}

function readDelta(message: Buffer): Received {
  const response = fromBinary(DeltaDiscoveryResponseSchema, message)
  const { typeUrl, nonce, resources, removedResources } = response
  const contents = resources.map(({ name, resource }) => [
    name,
    resource ? decoder.decode(resource.value) : '(absent)',
  ])
  return {
    type: typeUrl,
    nonce,
    version: '',
    versions: Object.fromEntries(resources.map(({ name, version }) => [name, version])),
    resources: Object.fromEntries(contents),
    removed: removedResources,
  }
}

function readState(message: Buffer): Received {
  const { typeUrl, nonce, versionInfo, resources } = fromBinary(DiscoveryResponseSchema, message)
  const contents = resources.map(({ value }) => decoder.decode(value))
  return {
    type: typeUrl,
    nonce,
    version: versionInfo,
    versions: {},
    resources: Object.fromEntries(contents.map(content => [content, content])),
    removed: [],
  }
}
