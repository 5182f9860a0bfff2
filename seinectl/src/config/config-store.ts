import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { MeshResource } from '@seine/api'
import type { Problem } from '@seine/kit'
import { readTexts } from '@seine/source-files'
import { ConfigFile } from './config-file.ts'
import { fileNameOf, keyOfResource } from './names.ts'
import { sameObject } from './object-data.ts'

/** What became of an object, in `kubectl`'s words. */
export type Outcome = 'created' | 'configured' | 'unchanged'

/** The configuration folders as a store of objects. Edits are made in memory; {@link ConfigStore.save} writes the files. */
export class ConfigStore {
  readonly #folder: string
  readonly #files: Map<string, ConfigFile>
  readonly problems: readonly Problem[]

  private constructor(folder: string, files: readonly ConfigFile[], problems: readonly Problem[]) {
    this.#folder = folder
    this.#files = new Map(files.map(file => [file.path, file]))
    this.problems = problems
  }

  /** Reads all files of the folders; folders that are not there are empty. New objects go to the first. */
  static async open(folders: readonly string[]): Promise<ConfigStore> {
    const { texts, problems } = await readTexts(folders)
    const files = texts.map(({ path, text }) => new ConfigFile(path, text))
    const serious = problems.filter(problem => problem.code !== 'file-not-found')
    return new ConfigStore(folders[0] ?? '.', files, [...serious, ...files.flatMap(file => file.problems)])
  }

  /** All objects, each once, in the order of the files. */
  resources(): MeshResource[] {
    const found = new Map<string, MeshResource>()
    for (const file of this.#files.values()) {
      for (const resource of file.resources()) {
        const key = keyOfResource(resource)
        if (!found.has(key)) found.set(key, resource)
      }
    }
    return [...found.values()]
  }

  /** Puts an object where it stands already, else into a file of its own. `text` is its YAML. */
  put(resource: MeshResource, text: string): Outcome {
    const key = keyOfResource(resource)
    const holder = this.#holderOf(key)
    const before = holder?.get(key)
    if (before && sameObject(before, resource)) return 'unchanged'
    const path = join(this.#folder, fileNameOf(resource))
    const file = holder ?? this.#files.get(path) ?? new ConfigFile(path, '')
    file.put(key, text)
    this.#files.set(file.path, file)
    return holder ? 'configured' : 'created'
  }

  /** Removes an object. @returns whether it was there. */
  remove(key: string): boolean {
    const holders = [...this.#files.values()].filter(file => file.has(key))
    // Another document of the same object would come into force if it stayed.
    for (const file of holders) while (file.has(key)) file.remove(key)
    return holders.length > 0
  }

  /** Writes what was edited, each file at once; a file without objects is removed. */
  async save(): Promise<void> {
    for (const file of this.#files.values()) {
      if (!file.edited) continue
      if (file.isEmpty) await rm(file.path, { force: true })
      else await replaceFile(file.path, file.text)
    }
  }

  #holderOf(key: string): ConfigFile | undefined {
    return [...this.#files.values()].find(file => file.has(key))
  }
}

/** Whoever watches the folder sees the old file or the new one, never half of it. */
async function replaceFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
  try {
    await writeFile(temporary, text)
    await rename(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
}
