import type { MeshResource } from '@seine/api'
import type { Problem } from '@seine/kit'
import type { MeshSnapshot } from '@seine/model'
import type { ApiTypeStatus } from './api-types.ts'

/** What a proxy has acknowledged, as pilot reports it. */
export interface HubProxy {
  readonly id: string
  readonly protocol: string
  readonly connectedAt: number
  readonly types: Readonly<Record<string, ApiTypeStatus>>
}

/** A resource a proxy gets, as pilot reports it. */
export interface HubResource {
  readonly name: string
  readonly version: string
  readonly provenance: readonly {
    readonly kind: string
    readonly namespace: string
    readonly name: string
    readonly path?: string
  }[]
  readonly config: unknown
}

/** What a proxy gets, as pilot reports it. */
export interface HubProxyConfig {
  readonly listeners: readonly HubResource[]
  readonly routes: readonly HubResource[]
  readonly clusters: readonly HubResource[]
  readonly endpoints: readonly HubResource[]
  /** Configuration of filters that comes by itself (ECDS). */
  readonly extensions: readonly HubResource[]
}

/** An object of the mesh, as pilot reports it: the forms are those of files, Secrets without what they keep secret. */
export interface HubObject {
  /** The place of what was written last, or of what is in force where that is gone. */
  readonly file?: string
  readonly line?: number
  /** Pilot made it for a workload that has registered. */
  readonly registered?: true
  /** As it is in force; absent where no version has been good yet. */
  readonly inForce?: unknown
  /** As it was written last, where something else is in force, or nothing. */
  readonly written?: unknown
  /** Why what the files say is not what is in force. */
  readonly reasons: readonly string[]
}

/** What the hub reads of the mesh. The control plane gives it; the hub never reaches back. */
export interface HubInputs {
  snapshot(): MeshSnapshot
  resources(): Iterable<MeshResource>
  problems(): Promise<readonly Problem[]>
  /** What analysis found that is not among the problems. */
  findings(): Promise<readonly Problem[]>
  proxies(): Promise<readonly HubProxy[]>
  /** Every object, in force and as written. */
  objects(): Promise<readonly HubObject[]>
  proxyConfig(id: string): Promise<HubProxyConfig | undefined>
  readonly version: string
  readonly envoyVersion: string
  readonly configFolders: readonly string[]
}

/** A span as the hub keeps it: ids in hexadecimal, times in microseconds. */
export interface HubSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  readonly kind: 'client' | 'server' | 'internal'
  readonly startUs: number
  readonly durationUs: number
  readonly service: string
  readonly error: boolean
  readonly attributes: Readonly<Record<string, string>>
}
