import {
  canonicalIp,
  keyOf,
  type MeshResource,
  refOf,
  registeredName,
  type WorkloadEntry,
  type WorkloadGroup,
} from '@seine/api'
import type { EncodedResource } from '@seine/envoy'
import { type Clock, err, type Logger, ok, type ResourceRef, type Result } from '@seine/kit'
import {
  accountOf,
  type Health,
  type RegisteringWorkload,
  type ResourceChange,
  registeredEntry,
} from '@seine/model'
import { hashBytes, type Proxy } from '@seine/pilot-traffic'
import type { StoredRegistration } from './registration-store.ts'

/** How long the entry of a workload stays when its last stream has ended: Istio's. */
export const GRACE_MS = 10_000
/** How long the entry of one that was registered before a start of pilot stays for its agent to come back. */
export const RESTORED_GRACE_MS = 30_000

/**
 * The type of the probe that the agent of a registered workload is to carry out: one resource, its bytes JSON, the
 * `probe` of the WorkloadGroup.
 */
export const PROBE_TYPE = 'type.googleapis.com/seine.health.v1.ReadinessProbe'
/** The name of the one resource of that type. */
export const PROBE_NAME = 'readiness'

/** A workload that has registered; each of its streams holds it. */
export interface Registration {
  /** The key of its WorkloadEntry. */
  readonly key: string
  readonly workload: RegisteringWorkload
}

interface State extends Registration {
  streams: number
  health: Health | undefined
  /** The entry that is in the mesh; undefined while the group is not there, or another object has its name. */
  entry: WorkloadEntry | undefined
  probe: EncodedResource | undefined
  cancelRemoval: (() => void) | undefined
}

/** What registrations need from outside. */
export interface RegistrationOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Told of entries that come, change and go; called while a workload comes, reports or has gone. */
  readonly onChange: (change: ResourceChange) => void
  /** Those that were there before pilot started. */
  readonly stored?: readonly StoredRegistration[]
  /** Told of all there are now, whenever they are others. */
  readonly save?: (all: readonly StoredRegistration[]) => void
}

/**
 * The workloads that have registered by a WorkloadGroup, as a source of WorkloadEntries. An entry is what its group
 * says now: it follows a change of that, goes with it, and is there again when the group is. It stays while the
 * workload has a stream, and for {@link GRACE_MS} after the last one. Those that outlive a start of pilot are there with
 * their groups, so that no proxy is told that their endpoints are gone, for {@link RESTORED_GRACE_MS} or as long as they
 * have come back.
 */
export class Registrations {
  readonly #options: RegistrationOptions
  /** By `namespace/name`. */
  readonly #groups = new Map<string, WorkloadGroup>()
  /** The keys of the entries that people wrote: where one is called as a workload's own, it counts. */
  readonly #written = new Set<string>()
  readonly #states = new Map<string, State>()

  constructor(options: RegistrationOptions) {
    this.#options = options
    for (const { workload, health } of options.stored ?? []) {
      const state = newState(workload, health)
      this.#states.set(state.key, state)
      this.#removeAfter(RESTORED_GRACE_MS, state)
    }
  }

  /** Stops waiting for workloads to come back: those that are registered now stay written down. */
  close(): void {
    for (const state of this.#states.values()) state.cancelRemoval?.()
  }

  /** The entries that are in the mesh. */
  get entries(): readonly WorkloadEntry[] {
    return [...this.#states.values()].flatMap(({ entry }) => entry ?? [])
  }

  /** @returns the change of a source, with what it means for entries. */
  follow(change: ResourceChange): ResourceChange {
    const touched = new Set<string>()
    for (const ref of change.deletes) this.#note(ref, undefined, touched)
    for (const resource of change.upserts) this.#note(refOf(resource), resource, touched)
    if (touched.size === 0) return change
    const own = [...this.#states.values()].filter(({ key, workload }) =>
      [key, groupKey(workload.namespace, workload.group)].some(one => touched.has(one)),
    )
    const ours = this.#refresh(own)
    return { upserts: [...change.upserts, ...ours.upserts], deletes: [...change.deletes, ...ours.deletes] }
  }

  /**
   * A stream of a workload began.
   *
   * @returns what holds the workload in the mesh until {@link leave}; or why it may not register
   */
  join(proxy: Proxy): Result<Registration, string> {
    const { namespace, serviceAccount, group: name = '', network, labels } = proxy
    const at = `${namespace}/${name}`
    const group = this.#groups.get(at)
    if (!group)
      return err(`there is no WorkloadGroup ${at} to register by: the workload joins when it is there`)
    if (!proxy.authenticated)
      return err('only a workload with a token can register: it has to connect over TLS')
    const account = accountOf(group.spec)
    if (serviceAccount !== account)
      return err(
        `WorkloadGroup ${at} is for workloads of the service account ${account}, and the token is for ${serviceAccount}`,
      )
    const address = canonicalIp(proxy.addresses[0] ?? '')
    if (address === undefined) return err(`to register takes an IP address, not "${proxy.addresses[0]}"`)
    const workload = { group: name, namespace, address, network, labels }
    const known = this.#states.get(keyOfWorkload(workload))
    const state: State = known ? Object.assign(known, { workload }) : newState(workload, undefined)
    this.#states.set(state.key, state)
    // Without a probe nobody says that a workload which has stopped, and started again, is well.
    if (state.streams === 0 && !group.spec.probe) state.health = undefined
    state.cancelRemoval?.()
    state.cancelRemoval = undefined
    state.streams++
    if (!known) this.#options.logger.info({ workload: state.key, group: at }, 'a workload has registered')
    this.#tell(this.#refresh([state]))
    this.#save()
    return ok(state)
  }

  /** A stream of a workload ended. */
  leave({ key }: Registration): void {
    const state = this.#states.get(key)
    if (state && --state.streams === 0) this.#removeAfter(GRACE_MS, state)
  }

  #removeAfter(ms: number, state: State): void {
    const { key } = state
    state.cancelRemoval = this.#options.clock.after(ms, () => {
      this.#states.delete(key)
      this.#options.logger.info({ workload: key }, 'a workload that had registered is gone')
      if (state.entry) this.#tell({ upserts: [], deletes: [refOf(state.entry)] })
      this.#save()
    })
  }

  #save(): void {
    this.#options.save?.([...this.#states.values()].map(({ workload, health }) => ({ workload, health })))
  }

  /** Takes what an agent has found out of its workload: why it can't take requests, or undefined when it can. */
  report({ key }: Registration, reason: string | undefined): void {
    const state = this.#states.get(key)
    if (!state) return
    const health = { healthy: reason === undefined, message: reason ?? '' }
    const { clock, logger } = this.#options
    if (state.health?.healthy === health.healthy && state.health.message === health.message) return
    logger.info({ workload: key, ...health }, 'the health of a workload has changed')
    state.health = { ...health, since: clock.now() }
    this.#tell(this.#refresh([state]))
    this.#save()
  }

  /** What a workload is called, and the labels that it has, as its entry; its own labels where it has none. */
  entryOf({ key, workload }: Registration): { name: string; labels: Readonly<Record<string, string>> } {
    const labels = this.#states.get(key)?.entry?.spec.labels ?? workload.labels
    const { group, address, network } = workload
    return { name: registeredName(group, address, network), labels }
  }

  /** The probe that the agent of a workload is to carry out. */
  probeOf({ key }: Registration): EncodedResource | undefined {
    return this.#states.get(key)?.probe
  }

  #note(ref: ResourceRef, resource: MeshResource | undefined, touched: Set<string>): void {
    const key = keyOf(ref)
    if (ref.kind === 'WorkloadEntry') {
      if (resource) this.#written.add(key)
      else this.#written.delete(key)
    } else if (ref.kind === 'WorkloadGroup' && !ref.canary) {
      const name = `${ref.namespace}/${ref.name}`
      if (resource?.kind === 'WorkloadGroup') this.#groups.set(name, resource)
      else this.#groups.delete(name)
    } else return
    touched.add(key)
  }

  #refresh(states: readonly State[]): ResourceChange {
    const upserts: MeshResource[] = []
    const deletes: ResourceRef[] = []
    for (const state of states) {
      const { workload, entry: before } = state
      const group = this.#groups.get(`${workload.namespace}/${workload.group}`)
      const probe = group && probeResource(group)
      if (group && before) state.health = this.#carriedOver(state, probe)
      state.probe = probe
      const own = group && registeredEntry(group, workload, state.health)
      state.entry = this.#written.has(state.key) ? undefined : own
      if (state.entry) upserts.push(state.entry)
      else if (before && !this.#written.has(state.key)) deletes.push(refOf(before))
    }
    return { upserts, deletes }
  }

  /** A workload that has taken requests without a probe goes on to until its agent says otherwise. */
  #carriedOver({ health, probe: before }: State, probe: EncodedResource | undefined): Health | undefined {
    if (!before && probe) return health ?? { healthy: true, message: '', since: this.#options.clock.now() }
    return before && !probe ? undefined : health
  }

  #tell(change: ResourceChange): void {
    if (change.upserts.length + change.deletes.length > 0) this.#options.onChange(change)
  }
}

function newState(workload: RegisteringWorkload, health: Health | undefined): State {
  return {
    key: keyOfWorkload(workload),
    workload,
    streams: 0,
    health,
    entry: undefined,
    probe: undefined,
    cancelRemoval: undefined,
  }
}

function keyOfWorkload({ group, namespace, address, network }: RegisteringWorkload): string {
  return keyOf({ kind: 'WorkloadEntry', namespace, name: registeredName(group, address, network) })
}

function groupKey(namespace: string, name: string): string {
  return keyOf({ kind: 'WorkloadGroup', namespace, name })
}

function probeResource(group: WorkloadGroup): EncodedResource | undefined {
  const { probe } = group.spec
  if (!probe) return undefined
  const bytes = new TextEncoder().encode(JSON.stringify(probe))
  const provenance = [{ ...refOf(group), path: 'spec.probe' }]
  return { name: PROBE_NAME, version: hashBytes(bytes), bytes, provenance }
}
