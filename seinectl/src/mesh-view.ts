import type { MeshResource } from '@seine/api'
import { Canaries, MeshModel, type MeshSnapshot } from '@seine/model'

/** A workload, as far as it decides which version of the mesh its proxy gets. */
export interface ViewedBy {
  readonly workloadName: string
  readonly namespace: string
}

/** The mesh as pilot would have it from the same objects, with what only some workloads get in their canaries. */
export class MeshView {
  readonly #model = new MeshModel()
  readonly #canaries = new Canaries()

  /**
   * Takes objects in.
   *
   * @param isAdmitted they are in force in a running mesh: what they refer to is not judged
   */
  apply(upserts: readonly MeshResource[], isAdmitted = false): void {
    const change = { upserts, deletes: [] }
    this.#model.apply(change, isAdmitted)
    this.#canaries.apply(change, this.#model)
  }

  /** What all get who are in no canary. */
  get snapshot(): MeshSnapshot {
    return this.#model.snapshot
  }

  /** What the proxy of a workload gets; of several canaries for it the first. */
  snapshotFor({ workloadName, namespace }: ViewedBy): MeshSnapshot {
    const name = `${workloadName}.${namespace}`
    return this.#canaries.groups.find(({ workloads }) => workloads.includes(name))?.snapshot ?? this.snapshot
  }
}
