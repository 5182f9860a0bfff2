import { type DescMessage, fromBinary, type Message, toBinary, toJsonString } from '@bufbuild/protobuf'
import { type EncodedResource, envoyRegistry, TypeUrl } from '@seine/envoy'
import { type Cluster, ClusterSchema } from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { TrafficDirection } from '@seine/envoy/envoy/config/core/v3/base'
import { type Listener, ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'
import { type RouteConfiguration, RouteConfigurationSchema } from '@seine/envoy/envoy/config/route/v3/route'
import { type VirtualHost, VirtualHostSchema } from '@seine/envoy/envoy/config/route/v3/route_components'
import { hashBytes } from '../encode.ts'
import { INBOUND_PASSTHROUGH_CLUSTER } from '../names.ts'
import { bootstrapPatches } from './bootstrap.ts'
import { matchesCluster, patchCluster } from './clusters.ts'
import { Journal } from './journal.ts'
import { patchListener } from './listeners.ts'
import { outcomeMistake } from './outcome.ts'
import { adds, type Patch, type PatchContext, valueOf } from './patch.ts'
import { patchRoutes, patchVirtualHost } from './routes.ts'

const LISTENER_PARTS: readonly Patch['applyTo'][] = [
  'LISTENER',
  'FILTER_CHAIN',
  'NETWORK_FILTER',
  'LISTENER_FILTER',
  'HTTP_FILTER',
]
const ROUTE_PARTS: readonly Patch['applyTo'][] = ['ROUTE_CONFIGURATION', 'VIRTUAL_HOST', 'HTTP_ROUTE']

/** What patches of each kind may change. A table of inbound requests is part of a listener. */
const PARTS: Readonly<Record<string, readonly Patch['applyTo'][]>> = {
  [TypeUrl.listener]: [...LISTENER_PARTS, ...ROUTE_PARTS],
  [TypeUrl.route]: ROUTE_PARTS,
  [TypeUrl.virtualHost]: ['VIRTUAL_HOST', 'HTTP_ROUTE'],
  [TypeUrl.cluster]: ['CLUSTER'],
  [TypeUrl.extension]: ['EXTENSION_CONFIG'],
}

/** Resources that patches add as a whole. */
const ADDED: Readonly<Record<string, Patch['applyTo']>> = {
  [TypeUrl.listener]: 'LISTENER',
  [TypeUrl.cluster]: 'CLUSTER',
  [TypeUrl.extension]: 'EXTENSION_CONFIG',
}

/** The type of the resource that a patch adds as a whole; undefined for one that does not. */
export function addedAs(patch: Patch): string | undefined {
  return Object.keys(ADDED).find(type => ADDED[type] === patch.applyTo && adds(patch))
}

/** The types of resources that patches can change or add. */
export const PATCHED_TYPES: readonly string[] = Object.keys(PARTS)

const MESH_CLUSTER = /outbound\|\d+\|[^|"\\\s]*\|[^"'\\\s]+/g

/** What of a proxy decides how its resources are patched. */
export interface PatchTarget {
  readonly isGateway: boolean
  /** The hosts of the services that it serves. */
  readonly hosts: readonly string[]
}

/** Patches that are left out of a resource, as Envoy would refuse what they make of it, each with its reason. */
export type LeftOut = ReadonlyMap<Patch, string>
const NONE: LeftOut = new Map()

/** What patches make of a resource, and which of them do. */
interface Patched {
  /** Undefined where one removes it. */
  readonly resource: EncodedResource | undefined
  readonly applied: ReadonlySet<Patch>
  readonly leftOut: LeftOut
}

/** What some of the patches make of a resource, whether Envoy takes it or not. */
interface Attempt extends Omit<Patched, 'leftOut'> {
  /** Why Envoy would refuse it. */
  readonly mistake: string | undefined
}

/**
 * The patches for some proxies, and what they make of resources. Proxies with the same patches share one, and
 * with it each patched resource: it is made once from the one that all proxies share.
 */
export class PatchSet {
  readonly patches: readonly Patch[]
  readonly #made = new WeakMap<EncodedResource, Patched>()
  readonly #added = new Map<string, ReadonlyMap<string, EncodedResource>>()
  readonly #neverAdded = new Map<Patch, string>()
  #clusters: ReadonlySet<string> | undefined
  #bootstrap: EncodedResource | undefined

  constructor(patches: readonly Patch[]) {
    this.patches = patches
    for (const [type, applyTo] of Object.entries(ADDED)) {
      const added = new Map<string, EncodedResource>()
      for (const patch of patches.filter(patch => patch.applyTo === applyTo && adds(patch))) {
        const message = valueOf<Message & { name: string }>(patch)
        const mistake = added.has(message.name)
          ? `another patch has added the ${applyTo} ${message.name}`
          : outcomeMistake(type, message)
        if (mistake === undefined) added.set(message.name, encodeAdded(patch, message))
        else this.#neverAdded.set(patch, mistake)
      }
      this.#added.set(type, added)
    }
  }

  /** What the agent is to change in the bootstrap that it starts Envoy with; undefined where nothing. */
  get bootstrap(): EncodedResource | undefined {
    this.#bootstrap ??= bootstrapPatches(this.patches)
    return this.#bootstrap
  }

  /** Whether some patch is about resources of a type. */
  touches(type: string): boolean {
    return this.patches.some(({ applyTo }) => PARTS[type]?.includes(applyTo))
  }

  /** Resources that are there because of patches alone, by name. */
  added(type: string): ReadonlyMap<string, EncodedResource> {
    return this.#added.get(type) ?? new Map()
  }

  /** Clusters that a proxy needs because of patches: those that are added, and those of the mesh that patches name. */
  get clusters(): ReadonlySet<string> {
    this.#clusters ??= new Set([
      ...this.added(TypeUrl.cluster).keys(),
      ...this.patches.flatMap(
        ({ type, value }) =>
          (value && toJsonString(type, value, { registry: envoyRegistry() }).match(MESH_CLUSTER)) ?? [],
      ),
    ])
    return this.#clusters
  }

  /** The resource as patches leave it: itself where none is about it, undefined where one removes it. */
  apply(type: string, resource: EncodedResource, target: PatchTarget): EncodedResource | undefined {
    return this.#patched(type, resource, target).resource
  }

  /** The patches that take hold of a resource, and those that would and are left out of it. */
  appliedTo(
    type: string,
    resource: EncodedResource,
    target: PatchTarget,
  ): { readonly applied: ReadonlySet<Patch>; readonly leftOut: LeftOut } {
    return this.#patched(type, resource, target)
  }

  /** Patches whose resource is not added, as Envoy would refuse it, each with its reason. */
  get neverAdded(): LeftOut {
    return this.#neverAdded
  }

  /** The patches of clusters that are about one of a name: what can be told without making it. */
  ofCluster(name: string, target: PatchTarget): readonly Patch[] {
    return ofContext(this.patches, contextOf(target, isInboundCluster(name))).filter(
      patch => patch.applyTo === 'CLUSTER' && matchesCluster(name, patch, target.hosts),
    )
  }

  #patched(type: string, resource: EncodedResource, target: PatchTarget): Patched {
    const known = this.#made.get(resource)
    if (known) return known
    const made = this.#make(type, resource, target)
    this.#made.set(resource, made)
    return made
  }

  /** All patches but for those that would make of the resource what Envoy refuses. */
  #make(type: string, resource: EncodedResource, target: PatchTarget): Patched {
    const leftOut = new Map<Patch, string>()
    for (;;) {
      const used = this.patches.filter(patch => !leftOut.has(patch))
      const { mistake, ...patched } = this.#attempt(type, resource, target, used)
      if (mistake === undefined) return { ...patched, leftOut: leftOut.size > 0 ? leftOut : NONE }
      const [culprit, reason] = this.#culprit(type, resource, target, [...patched.applied], mistake)
      // Without patches it is as it was generated, and for all proxies.
      if (!culprit) return { resource, applied: new Set(), leftOut }
      leftOut.set(culprit, reason)
    }
  }

  /** The patch from which on, in their order, what comes out is refused. */
  #culprit(
    type: string,
    resource: EncodedResource,
    target: PatchTarget,
    applied: readonly Patch[],
    mistake: string,
  ): readonly [culprit: Patch | undefined, reason: string] {
    const inOrder = this.patches.filter(patch => applied.includes(patch))
    let reason = mistake
    for (let count = inOrder.length - 1; count > 0; count--) {
      const attempt = this.#attempt(type, resource, target, inOrder.slice(0, count))
      if (attempt.mistake === undefined) return [inOrder[count], reason]
      reason = attempt.mistake
    }
    return [inOrder[0], reason]
  }

  #attempt(type: string, resource: EncodedResource, target: PatchTarget, patches: readonly Patch[]): Attempt {
    const journal = new Journal()
    const { applied } = journal
    const read = SCHEMAS[type]
    if (!read) return { resource, applied, mistake: undefined }
    const message = fromBinary(read, resource.bytes)
    const patched = patch(type, message, target, patches, journal)
    if (!patched) return { resource: undefined, applied, mistake: undefined }
    if (applied.size === 0) return { resource, applied, mistake: undefined }
    const bytes = toBinary(read, patched)
    const provenance = [...journal.causes, ...resource.provenance]
    return {
      resource: { ...resource, version: hashBytes(bytes), bytes, provenance },
      applied,
      mistake: outcomeMistake(type, patched),
    }
  }
}

/** Applies patches to a message. @returns undefined where one removes it. */
function patch(
  type: string,
  message: Message,
  target: PatchTarget,
  patches: readonly Patch[],
  journal: Journal,
): Message | undefined {
  switch (type) {
    case TypeUrl.listener: {
      const listener = message as Listener
      const isInbound = listener.trafficDirection === TrafficDirection.INBOUND
      const context = contextOf(target, isInbound)
      return patchListener(listener, ofContext(patches, context), context, journal)
    }
    case TypeUrl.cluster: {
      const { name } = message as Cluster
      const context = contextOf(target, isInboundCluster(name))
      return patchCluster(message as Cluster, ofContext(patches, context), target.hosts, journal)
    }
    case TypeUrl.route: {
      const context = contextOf(target, false)
      patchRoutes(message as RouteConfiguration, ofContext(patches, context), context, journal)
      return message
    }
    case TypeUrl.virtualHost: {
      const context = contextOf(target, false)
      return patchVirtualHost(message as VirtualHost, ofContext(patches, context), context, journal)
    }
    default:
      return message
  }
}

function ofContext(patches: readonly Patch[], context: PatchContext): readonly Patch[] {
  return patches.filter(({ match }) => [undefined, 'ANY', context].includes(match.context))
}

const SCHEMAS: Readonly<Record<string, DescMessage>> = {
  [TypeUrl.listener]: ListenerSchema,
  [TypeUrl.cluster]: ClusterSchema,
  [TypeUrl.route]: RouteConfigurationSchema,
  [TypeUrl.virtualHost]: VirtualHostSchema,
}

function isInboundCluster(name: string): boolean {
  return name.startsWith('inbound|') || name === INBOUND_PASSTHROUGH_CLUSTER
}

function contextOf({ isGateway }: PatchTarget, isInbound: boolean): PatchContext {
  if (isGateway) return 'GATEWAY'
  return isInbound ? 'SIDECAR_INBOUND' : 'SIDECAR_OUTBOUND'
}

function encodeAdded(patch: Patch, message: Message & { name: string }): EncodedResource {
  const bytes = toBinary(patch.type, message)
  return { name: message.name, version: hashBytes(bytes), bytes, provenance: [patch.cause] }
}
