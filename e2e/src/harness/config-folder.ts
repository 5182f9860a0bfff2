import { rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { stringify } from 'yaml'

/** A resource in every file that a test writes: when the control plane shows it, it has read the file. */
export interface Marker {
  readonly kind: 'ServiceAccount'
  readonly namespace: 'e2e-applied'
  readonly name: string
}

/** The folder of YAML that the mesh watches, as the tests write it. */
export class ConfigFolder {
  readonly path: string
  readonly #written = new Set<string>()
  #revision = 0

  constructor(path: string) {
    this.path = path
  }

  /** The files that tests have written and not removed yet, by name without ending. */
  get written(): readonly string[] {
    return [...this.#written]
  }

  file(name: string): string {
    return join(this.path, `${name}.yaml`)
  }

  /** Writes resources as one file, at once for whoever reads it, with a marker that tells it from earlier contents. */
  async write(name: string, text: string): Promise<Marker> {
    this.#revision += 1
    const marker: Marker = {
      kind: 'ServiceAccount',
      namespace: 'e2e-applied',
      name: `${name}-${process.pid}-${this.#revision}`,
    }
    const { kind, ...metadata } = marker
    const whole = `${text.trim()}\n---\n${stringify({ apiVersion: 'v1', kind, metadata })}`
    // A name that the control plane does not read, until the file is whole.
    const staging = `${this.file(name)}.tmp`
    await writeFile(staging, whole)
    await rename(staging, this.file(name))
    this.#written.add(name)
    return marker
  }

  async remove(name: string): Promise<void> {
    await rm(this.file(name), { force: true })
    this.#written.delete(name)
  }

  /** Whether a path that the control plane names is the file of that name. */
  isFile(path: string | undefined, name: string): boolean {
    return path !== undefined && basename(path) === `${name}.yaml`
  }
}
