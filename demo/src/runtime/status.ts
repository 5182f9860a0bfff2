import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { PlannedPod } from './expand.ts'

/** How a pod is doing. */
export interface PodState {
  /** Its addresses, the main one first. */
  readonly ips: readonly string[]
  readonly phase: 'Pending' | 'Running'
  readonly ready: boolean
  readonly restarts: Readonly<Record<string, number>>
  readonly since: string
}

/** The pod as `kubectl get pod -o yaml` would show it: what the control plane watches. */
export function podManifest(pod: Pick<PlannedPod, 'metadata' | 'spec'>, state: PodState): string {
  const conditions = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map(type => ({
    type,
    status: type.includes('Ready') && !state.ready ? 'False' : 'True',
    lastTransitionTime: state.since,
  }))
  return stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: pod.metadata,
    spec: { ...pod.spec, nodeName: 'local' },
    status: {
      phase: state.phase,
      podIP: state.ips[0],
      podIPs: state.ips.map(ip => ({ ip })),
      conditions,
      containerStatuses: pod.spec.containers.map(container => ({
        name: container.name,
        ready: state.ready,
        restartCount: state.restarts[container.name] ?? 0,
      })),
    },
  })
}

/** Writes pods into the folder that the control plane watches; a reader never sees half a file. */
export class PodFolder {
  readonly #folder: string
  readonly #staging: string

  constructor(stateFolder: string) {
    this.#folder = join(stateFolder, 'pods')
    this.#staging = join(stateFolder, 'pods.staging')
  }

  get path(): string {
    return this.#folder
  }

  /** An empty folder, whatever an earlier run left there. */
  async reset(): Promise<void> {
    await this.clear()
    await mkdir(this.#folder, { recursive: true })
    await mkdir(this.#staging, { recursive: true })
  }

  async write(pod: Pick<PlannedPod, 'metadata' | 'spec'>, state: PodState): Promise<void> {
    const staged = join(this.#staging, `${pod.metadata.name}.yaml`)
    await writeFile(staged, podManifest(pod, state))
    await rename(staged, join(this.#folder, `${pod.metadata.name}.yaml`))
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.#folder, `${name}.yaml`), { force: true })
  }

  async clear(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
    await rm(this.#staging, { recursive: true, force: true })
  }
}
