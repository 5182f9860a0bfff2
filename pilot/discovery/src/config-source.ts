import type { EncodedResource } from '@seine/envoy'
import type { Result } from '@seine/kit'

/** A connected client as its first request describes it. */
export interface NodeInfo {
  readonly id: string
  readonly cluster: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly protocol: 'delta' | 'state-of-the-world'
  /** Who the client proved to be; absent where the port asks for no proof. */
  readonly peerIdentity?: string
}

/** What one client may get. Look-ups are cheap: everything is encoded already and shared between clients. */
export interface ProxyView {
  get(type: string, name: string): EncodedResource | undefined
  /** The names a subscription to everything of a type gets; with `prefix`, the virtual hosts of that route configuration. */
  names(type: string, prefix?: string): Iterable<string>
  /** The demands of a client that gets only what it asks for; absent for one that gets everything. */
  readonly demands?: Demands
}

/** What a client has asked for so far, where that decides what it gets. */
export interface Demands {
  /**
   * Takes note of names that a client asks for, or holds from an earlier stream.
   *
   * @returns what else it gets because of them.
   */
  ask(type: string, names: Iterable<string>): PushHint
  /** The name of the resource that answers to another name: a virtual host to one of its domains. */
  resourceName(type: string, name: string): string
  /** Takes note of a change. @returns all that may differ for this client, which can be more than what changed. */
  follow(hint: PushHint): PushHint
}

/** A client's place with the source while its stream lasts. */
export interface ProxySession {
  readonly proxyId: string
  readonly view: ProxyView
  /**
   * Takes what the client has found out about its workload: why that can't take requests, or undefined when it can.
   * Absent where nobody wants to know.
   */
  readonly reportHealth?: (reason: string | undefined) => void
  close(): void
}

/** The type of a request by which an agent reports its workload's health, Istio's: with an error when it is bad. */
export const HEALTH_TYPE = 'type.googleapis.com/istio.v1.HealthInformation'

/** Where configuration comes from. The ADS server knows nothing of meshes; this does. */
export interface ConfigSource {
  /** Admits a client, or says why not. */
  open(node: NodeInfo): Result<ProxySession, string>
}

/** Names per type that may differ from before; `all` means look at everything. Streams compare versions themselves. */
export type PushHint = ReadonlyMap<string, ReadonlySet<string> | 'all'>
