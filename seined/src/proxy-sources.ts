import { keyOf, refOf } from '@seine/api'
import type { Problem } from '@seine/kit'
import { mixerPlugins } from '@seine/mixer-plugins'
import {
  Canaries,
  type CanaryGroup,
  type ChangeSet,
  isRemoval,
  type MeshModel,
  type MeshSnapshot,
  type ResourceChange,
} from '@seine/model'
import { type ChangedNames, type Proxy, TrafficGenerator } from '@seine/pilot-traffic'

/** What a change means for proxies. */
export interface SourceUpdate {
  /** What proxies may have to be sent again. */
  readonly hints: readonly ChangedNames[]
  /** Whether a canary began or ended: some proxies have another source now. */
  readonly moved: boolean
}

/** Where each proxy's configuration is made: in one place for all, and for the workloads of a canary in one of its own. */
export class ProxySources {
  readonly #main: TrafficGenerator
  readonly #canaries = new Canaries()
  readonly #generators = new Map<CanaryGroup, TrafficGenerator>()

  constructor(snapshot: MeshSnapshot) {
    this.#main = new TrafficGenerator(snapshot, mixerPlugins)
  }

  /** Takes a change in: `snapshot` is that of all after it, `model` what has it. */
  update(
    change: ResourceChange,
    { snapshot, changes }: { readonly snapshot: MeshSnapshot; readonly changes: ChangeSet },
    model: Pick<MeshModel, 'resources' | 'objects'>,
  ): SourceUpdate {
    const hints: ChangedNames[] = []
    if (snapshot !== this.#main.snapshot) hints.push(this.#main.update(snapshot, changes))
    const { updates, moved } = this.#canaries.apply(change, model)
    for (const group of this.#generators.keys()) if (!updates.has(group)) this.#generators.delete(group)
    for (const [group, update] of updates) {
      const generator = this.#generators.get(group)
      if (!generator) this.#generators.set(group, new TrafficGenerator(update.snapshot, mixerPlugins))
      else if (update.snapshot !== generator.snapshot)
        hints.push(generator.update(update.snapshot, update.changes))
    }
    return { hints, moved }
  }

  /** Patches that have no effect on the proxies that are there, or that are left out. */
  patchProblems(): Problem[] {
    const all = [this.#main, ...this.#generators.values()].flatMap(generator => generator.patchProblems())
    return [...new Map(all.map(problem => [identityOf(problem), problem])).values()]
  }

  /** The place for a proxy; of several canaries for its workload the first. */
  of({ workloadName, namespace }: Proxy): TrafficGenerator {
    const name = `${workloadName}.${namespace}`
    const group = this.#canaries.groups.find(({ workloads }) => workloads.includes(name))
    return (group && this.#generators.get(group)) ?? this.#main
  }

  /**
   * What the rules for connected proxyless clients ask for and gRPC can not do; that canaries are under way, and what is
   * wrong with them that is not wrong for all.
   */
  problems(): Problem[] {
    const limits = [...this.#generators.values()].flatMap(generator => generator.problems())
    const found = [...this.#main.problems(), ...limits, ...this.#canaryProblems()]
    return [...new Map(found.map(problem => [identityOf(problem), problem])).values()]
  }

  #canaryProblems(): Problem[] {
    const known = new Set(this.#main.snapshot.problems.map(identityOf))
    return this.#canaries.groups.flatMap(({ workloads, versions, snapshot }) => {
      const own = new Set(versions.map(version => keyOf({ ...refOf(version), canary: true })))
      const whose = workloads.join(', ')
      const underWay = versions.map((version): Problem => {
        const position = version.origin?.locate('')
        return {
          severity: 'info',
          code: 'canary-under-way',
          message: isRemoval(version)
            ? `for the proxies of ${whose} it is gone, for all others not yet`
            : `only the proxies of ${whose} get this version so far`,
          resource: refOf(version),
          ...(position ? { position } : {}),
        }
      })
      const wrong = snapshot.problems
        .filter(problem => !known.has(identityOf(problem)))
        .map((problem): Problem => {
          const resource = problem.resource && { ...problem.resource, canary: true as const }
          const isOwn = resource !== undefined && own.has(keyOf(resource))
          const message = `for the proxies of ${whose}: ${problem.message}`
          return { ...problem, message, ...(isOwn ? { resource } : {}) }
        })
      return [...underWay, ...wrong]
    })
  }
}

/** The same problem at another line is not a new one. */
function identityOf({ code, resource, path, message }: Problem): string {
  return [code, resource ? keyOf(resource) : '', path ?? '', message].join('\n')
}
