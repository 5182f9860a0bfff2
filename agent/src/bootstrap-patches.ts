import { fromBinary } from '@bufbuild/protobuf'
import type { Client, ClientDuplexStream, Metadata, ServiceError } from '@grpc/grpc-js'
import { DeltaDiscoveryResponseSchema } from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { type Clock, errorMessage, type Logger } from '@seine/kit'
import type { AgentSettings } from './settings.ts'
import { agentNode, DELTA_ADS, deltaRequest, same } from './upstream.ts'

/** The type of pilot's answer: one resource, its bytes JSON. */
const TYPE = 'type.googleapis.com/seine.bootstrap.v1.Patches'
const RETRY_MS = 1000

/** A part of Envoy's bootstrap in proto-JSON, to be merged into the one that the agent writes. */
export interface BootstrapPatch {
  /** With the second, lists are replaced and not added to. */
  readonly operation: 'MERGE' | 'MERGE_AND_REPLACE_LIST'
  readonly value: object
}

/** What it takes to ask pilot. */
export interface BootstrapPatchesOptions {
  readonly settings: AgentSettings
  readonly client: Client
  readonly authorize: () => Promise<Metadata>
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * What EnvoyFilters change in this proxy's bootstrap (`applyTo: BOOTSTRAP`), asked for once, before Envoy starts: it is
 * asked until pilot answers, for without pilot Envoy would have nothing to serve.
 */
export class BootstrapPatches {
  readonly #options: BootstrapPatchesOptions
  #stream: ClientDuplexStream<Buffer, Buffer> | undefined
  #closed = false
  #cancel: (() => void) | undefined

  constructor(options: BootstrapPatchesOptions) {
    this.#options = options
  }

  /** Resolves with pilot's answer, or with undefined when it is closed before there is one. */
  async read(): Promise<readonly BootstrapPatch[] | undefined> {
    const { clock, logger } = this.#options
    let said: string | undefined
    while (!this.#closed) {
      try {
        return await this.#ask()
      } catch (failure) {
        const reason = errorMessage(failure)
        if (reason !== said)
          logger.warn({ reason }, 'envoy is not started: the control plane does not say how')
        said = reason
      }
      await new Promise<void>(resolve => {
        const cancel = clock.after(RETRY_MS, resolve)
        this.#cancel = () => {
          cancel()
          resolve()
        }
        if (this.#closed) this.#cancel()
      })
    }
    return undefined
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
    this.#stream?.cancel()
  }

  async #ask(): Promise<readonly BootstrapPatch[]> {
    const { settings, client, authorize } = this.#options
    const stream = client.makeBidiStreamRequest(DELTA_ADS, same, same, await authorize())
    this.#stream = stream
    if (this.#closed) stream.cancel()
    try {
      return await new Promise((resolve, reject) => {
        stream.on('error', (failure: ServiceError) => reject(failure))
        stream.on('end', () => reject(new Error('ended')))
        stream.on('data', (message: Buffer) => {
          try {
            resolve(patchesIn(message))
          } catch (failure) {
            reject(failure)
          }
        })
        const node = agentNode(settings)
        stream.write(deltaRequest({ typeUrl: TYPE, resourceNamesSubscribe: ['*'], node }))
      })
    } finally {
      stream.cancel()
    }
  }
}

function patchesIn(message: Buffer): readonly BootstrapPatch[] {
  const { resources } = fromBinary(DeltaDiscoveryResponseSchema, message)
  return resources.flatMap(({ resource }) => {
    const text = new TextDecoder().decode(resource?.value)
    const { patches } = JSON.parse(text) as { patches?: readonly BootstrapPatch[] }
    if (!Array.isArray(patches)) throw new Error(`"patches" must be a list, not ${text.slice(0, 100)}`)
    return patches
  })
}

/**
 * A bootstrap with patches merged into it, one after another. Envoy's messages are loaded only where there are some:
 * an agent is to be small.
 */
export async function withPatches(bootstrap: object, patches: readonly BootstrapPatch[]): Promise<object> {
  if (patches.length === 0) return bootstrap
  const [{ envoyRegistry, mergeInto }, { BootstrapSchema }, { fromJson, toJson }] = await Promise.all([
    import('@seine/envoy'),
    import('@seine/envoy/envoy/config/bootstrap/v3/bootstrap'),
    import('@bufbuild/protobuf'),
  ])
  const registry = envoyRegistry()
  const read = (json: object) =>
    fromJson(BootstrapSchema, json as Parameters<typeof fromJson>[1], { registry })
  const patched = read(bootstrap)
  for (const { operation, value } of patches)
    mergeInto(
      BootstrapSchema,
      patched,
      read(value),
      operation === 'MERGE_AND_REPLACE_LIST' ? 'replace' : 'append',
    )
  return toJson(BootstrapSchema, patched, { registry }) as object
}
