import { eventually } from '@seine/testing'
import { inject } from 'vitest'
import { ConfigFolder, type Marker } from './config-folder.ts'
import type { MeshPlace } from './demo-process.ts'
import { Hub, type HubProblem, type HubWorkload } from './hub.ts'
import { Pod } from './pod.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The mesh that the global set-up started; absent where it can't run. */
    mesh: MeshPlace | undefined
  }
}

/** Gauges that say that an Envoy still prepares what it has acknowledged. */
const WARMING = ['envoy_listener_manager_total_listeners_warming', 'envoy_cluster_manager_warming_clusters']

/** How a configuration is to be taken. */
export interface ApplyOptions {
  /** The file has mistakes on purpose: problems in it are the test's business. */
  readonly broken?: boolean
}

/** A running mesh, as its tests see it: everything goes through files, HTTP and the pods' own programs. */
export class Mesh {
  readonly place: MeshPlace
  readonly hub = new Hub()
  readonly config: ConfigFolder
  #workloads: readonly HubWorkload[] = []

  private constructor(place: MeshPlace) {
    this.place = place
    this.config = new ConfigFolder(place.configFolder)
  }

  /** A mesh that runs already. */
  static async at(place: MeshPlace): Promise<Mesh> {
    const mesh = new Mesh(place)
    await mesh.refresh()
    return mesh
  }

  /** Reads again which pods there are. */
  async refresh(): Promise<void> {
    this.#workloads = await this.hub.workloads()
  }

  /** The pods of a workload: `echo-v1`, or of all its versions: `echo`. */
  pods(workload: string): readonly Pod[] {
    return this.#workloads
      .filter(({ name }) => name === workload || name.replace(/-v\d+$/, '') === workload)
      .map(found => new Pod(found, this.place.stateFolder))
  }

  /** The one pod of a workload. */
  pod(workload: string): Pod {
    const [pod, ...others] = this.pods(workload)
    if (pod === undefined || others.length > 0)
      throw new Error(`${workload} has ${others.length + (pod ? 1 : 0)} pods, not one`)
    return pod
  }

  /** The pods that have a sidecar. */
  get meshedPods(): readonly Pod[] {
    return this.#workloads.filter(({ meshed }) => meshed).map(found => new Pod(found, this.place.stateFolder))
  }

  /**
   * Writes resources into the watched folder, as the file `<name>.yaml`, and resolves when every proxy has them
   * in use. Throws when the control plane finds mistakes in the file, or a proxy refuses what was made of it.
   */
  async apply(name: string, yaml: string, options: ApplyOptions = {}): Promise<void> {
    const marker = await this.config.write(name, yaml)
    await eventually(async () => {
      if (!(await this.#shows(marker))) throw new Error(`the control plane has not read ${name}.yaml`)
    })
    if (!options.broken) {
      const errors = (await this.problemsOf(name)).filter(
        ({ severity, source }) => severity === 'error' && source !== 'analysis',
      )
      if (errors.length > 0) throw new Error(`problems in ${name}.yaml: ${JSON.stringify(errors, null, 2)}`)
    }
    await this.settled()
  }

  /** Removes files that {@link apply} wrote, and resolves when no proxy uses them any more. */
  async remove(...names: readonly string[]): Promise<void> {
    for (const name of names) await this.config.remove(name)
    await eventually(async () => {
      const left = (await this.hub.resources()).find(({ file }) =>
        names.some(name => this.config.isFile(file, name)),
      )
      if (left) throw new Error(`the control plane still has ${left.kind} ${left.namespace}/${left.name}`)
    })
    await this.settled()
  }

  /** Removes everything that the tests of this file wrote: the mesh is as it was at its start. */
  async reset(): Promise<void> {
    if (this.config.written.length > 0) await this.remove(...this.config.written)
  }

  /** What the control plane finds wrong in a file, errors and warnings. */
  async problemsOf(name: string): Promise<readonly HubProblem[]> {
    return (await this.hub.problems()).filter(({ file }) => this.config.isFile(file, name))
  }

  /** Resolves when each proxy has acknowledged everything and its Envoy has it in use. */
  async settled(): Promise<void> {
    const meshed = this.meshedPods
    await eventually(async () => {
      const proxies = await this.hub.proxies()
      for (const pod of meshed) {
        const own = proxies.filter(proxy => proxy.pod === pod.name)
        if (own.length === 0) throw new Error(`${pod.name} is not connected`)
        for (const [type, { state, nack }] of own.flatMap(({ types }) => Object.entries(types))) {
          if (state !== 'SYNCED') throw new Error(`${pod.name}: ${type} is ${state} ${nack?.message ?? ''}`)
        }
      }
    })
    await eventually(async () => {
      for (const pod of meshed) {
        const samples = await pod.metrics()
        const warming = samples.find(({ name, value }) => WARMING.includes(name) && value > 0)
        if (warming) throw new Error(`${pod.name}: ${warming.name} is ${warming.value}`)
      }
    })
  }

  async #shows({ kind, namespace, name }: Marker): Promise<boolean> {
    const resources = await this.hub.resources()
    return resources.some(one => one.kind === kind && one.namespace === namespace && one.name === name)
  }
}

/** Whether a mesh runs for the tests; the global set-up has said why if not. */
export function meshRuns(): boolean {
  return inject('mesh') !== undefined
}

/** The mesh that all test files share. */
export function sharedMesh(): Promise<Mesh> {
  const place = inject('mesh')
  if (place === undefined) throw new Error('no mesh runs')
  return Mesh.at(place)
}
