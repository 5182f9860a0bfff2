import { fromBinary } from '@bufbuild/protobuf'
import type { Client, ClientDuplexStream, Metadata, ServiceError } from '@grpc/grpc-js'
import {
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { type Clock, errorMessage, type Logger } from '@seine/kit'
import type { AgentSettings } from './settings.ts'
import { agentNode, DELTA_ADS, deltaRequest, same } from './upstream.ts'

/** The type of a request that says how the workload is, Istio's: with an error when it can't take requests. */
const HEALTH_TYPE = 'type.googleapis.com/istio.v1.HealthInformation'
const RETRY_MS = 1000
/** `INVALID_ARGUMENT` of google.rpc.Code. */
const INVALID = 3
/** What Istio's agent says of an unhealthy workload. */
const UNHEALTHY = 500

/** Something of pilot's that the agent itself makes use of: all resources of a type. */
export interface Subscription {
  readonly type: string
  /** The resources that it holds, with their versions: pilot tells what changed since, and what is gone. */
  versions(): Readonly<Record<string, string>>
  /** Takes a whole response or, when it throws, nothing of it. */
  take(response: DeltaDiscoveryResponse): void
}

/** What the stream needs from outside. */
export interface PilotStreamOptions {
  readonly settings: AgentSettings
  readonly client: Client
  readonly authorize: () => Promise<Metadata>
  readonly clock: Clock
  readonly logger: Logger
}

/** Whether the workload can take requests, and why not. */
export interface WorkloadHealth {
  readonly healthy: boolean
  readonly reason: string
}

/** The agent's own stream to pilot, beside Envoy's. It comes again when it ends, and says then what it knows. */
export class PilotStream {
  readonly #options: PilotStreamOptions
  readonly #subscriptions: readonly Subscription[]
  #health: WorkloadHealth | undefined
  #closed = false
  #stream: ClientDuplexStream<Buffer, Buffer> | undefined

  constructor(options: PilotStreamOptions, subscriptions: readonly Subscription[]) {
    this.#options = options
    this.#subscriptions = subscriptions
  }

  /** Follows pilot until closed. */
  start(): void {
    if (this.#closed) return
    const again = (reason: string) => {
      this.#stream = undefined
      this.#options.logger.debug({ reason }, "the agent's stream ended")
      if (!this.#closed) this.#options.clock.after(RETRY_MS, () => this.start())
    }
    this.#options.authorize().then(
      metadata => {
        if (this.#closed) return
        this.#open(this.#options.client.makeBidiStreamRequest(DELTA_ADS, same, same, metadata), again)
      },
      failure => again(errorMessage(failure)),
    )
  }

  /** Tells pilot how the workload is: now and whenever the stream comes again. Undefined where nobody has looked. */
  report(health: WorkloadHealth | undefined): void {
    this.#health = health
    if (health) this.#stream?.write(healthRequest(health))
  }

  close(): void {
    this.#closed = true
    this.#stream?.cancel()
  }

  #open(stream: ClientDuplexStream<Buffer, Buffer>, again: (reason: string) => void): void {
    this.#stream = stream
    let over = false
    const end = (reason: string) => {
      if (over) return
      over = true
      again(reason)
    }
    stream.on('error', (failure: ServiceError) => end(failure.details || failure.message))
    stream.on('end', () => end('ended'))
    stream.on('data', (message: Buffer) => this.#take(stream, message))
    const { settings } = this.#options
    const node = agentNode(settings)
    for (const subscription of this.#subscriptions) {
      const initialResourceVersions = { ...subscription.versions() }
      const { type: typeUrl } = subscription
      stream.write(deltaRequest({ typeUrl, resourceNamesSubscribe: ['*'], initialResourceVersions, node }))
    }
    if (this.#health) stream.write(healthRequest(this.#health))
  }

  #take(stream: ClientDuplexStream<Buffer, Buffer>, message: Buffer): void {
    let [typeUrl, responseNonce] = [this.#subscriptions[0]?.type ?? '', '']
    try {
      const response = fromBinary(DeltaDiscoveryResponseSchema, message)
      typeUrl = response.typeUrl
      responseNonce = response.nonce
      this.#subscriptions.find(({ type }) => type === typeUrl)?.take(response)
      stream.write(deltaRequest({ typeUrl, responseNonce }))
    } catch (failure) {
      const reason = errorMessage(failure)
      this.#options.logger.error(
        { type: typeUrl, reason },
        'what pilot sent can not be read: what there was stays',
      )
      stream.write(deltaRequest({ typeUrl, responseNonce, errorDetail: { code: INVALID, message: reason } }))
    }
  }
}

function healthRequest({ healthy, reason }: WorkloadHealth): Buffer {
  return deltaRequest({
    typeUrl: HEALTH_TYPE,
    ...(healthy ? {} : { errorDetail: { code: UNHEALTHY, message: reason } }),
  })
}
