import { type FSWatcher, watch } from 'node:fs'
import { basename, join, sep } from 'node:path'

/** Called with a path at or below which something changed. */
export type OnTouched = (path: string) => void

interface Watch {
  readonly watcher: FSWatcher
  /** Device and inode: a folder that was replaced by another of its name needs a new watch. */
  readonly id: string
}

/**
 * One system watch for each folder of a tree. Whoever reads a folder first calls {@link FolderWatches.add},
 * so that nothing which is written after the reading goes unnoticed.
 *
 * Chokidar is not used: it drops the second of two changes of a file within 50 ms for good (its `_throttle`),
 * and reads a new folder before it watches it.
 */
export class FolderWatches {
  readonly #watches = new Map<string, Watch>()
  readonly #onTouched: OnTouched
  readonly #onFailed: (folder: string, failure: unknown) => void

  constructor(onTouched: OnTouched, onFailed: (folder: string, failure: unknown) => void) {
    this.#onTouched = onTouched
    this.#onFailed = onFailed
  }

  /** Watches a folder, unless it is watched already. Failure goes to `onFailed`. */
  add(folder: string, id: string): void {
    const known = this.#watches.get(folder)
    if (known?.id === id) return
    known?.watcher.close()
    this.#watches.delete(folder)
    try {
      const watcher = watch(folder, { persistent: false })
      watcher.on('change', (event, name) => this.#touched(folder, watcher, event, name))
      watcher.on('error', failure => {
        this.#forget(folder, watcher)
        this.#onFailed(folder, failure)
      })
      this.#watches.set(folder, { watcher, id })
    } catch (failure) {
      this.#onFailed(folder, failure)
    }
  }

  /** Ends the watches of a folder and of those below it. */
  remove(folder: string): void {
    for (const [path, { watcher }] of this.#watches) {
      if (path === folder || path.startsWith(folder + sep)) this.#forget(path, watcher)
    }
  }

  close(): void {
    for (const { watcher } of this.#watches.values()) watcher.close()
    this.#watches.clear()
  }

  #touched(folder: string, watcher: FSWatcher, event: string, name: string | Buffer | null): void {
    const entry = name === null ? undefined : String(name)
    // A folder that is moved or deleted is told by its own name; its watch is then worth nothing, even if
    // another folder gets the same inode.
    if (event === 'rename' && entry === basename(folder)) {
      this.#forget(folder, watcher)
      this.#onTouched(folder)
    }
    // Kubernetes swaps all files of a ConfigMap by replacing the link `..data`.
    if (entry === undefined || entry.startsWith('..')) this.#onTouched(folder)
    else if (!entry.startsWith('.')) this.#onTouched(join(folder, entry))
  }

  #forget(folder: string, watcher: FSWatcher): void {
    watcher.close()
    if (this.#watches.get(folder)?.watcher === watcher) this.#watches.delete(folder)
  }
}
