import type { BigIntStats } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, normalize, sep } from 'node:path'
import { type Clock, type Closable, errorMessage, type Logger, type Problem, systemClock } from '@seine/kit'
import type { ResourceChange } from '@seine/model'
import { Catalog } from './catalog.ts'
import { readState, unreadState } from './file-state.ts'
import { FolderWatches } from './folder-watch.ts'
import { byPath, isConfigFile, leadsUpwards, readConfigFile, unreadable } from './read.ts'
import { looksUnfinished, Settling } from './settle.ts'

/** What a {@link FileSource} needs. */
export interface FileSourceOptions {
  /** Folders (or single files). One that is not there yet is read when it appears. */
  readonly folders: readonly string[]
  readonly logger: Logger
  readonly clock?: Clock
}

/** Told of every change, with all problems as they are now. */
export type OnChange = (change: ResourceChange, problems: readonly Problem[]) => void

/** How often all is compared in case the system lost an event (its queue is finite), and when it can't watch. */
const COMPARE_MS = { watching: 30_000, notWatching: 2000 } as const

/** How many entries of a folder are read at once. */
const AT_ONCE = 16

/**
 * Folders of YAML as a source of mesh configuration. A change is read and told at once; changes that come
 * while one is read are told together after it. What a file last held that was good stays until the file is
 * good again, or says otherwise.
 */
export class FileSource implements Closable {
  readonly #roots: readonly string[]
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #onChange: OnChange
  readonly #catalog = new Catalog()
  readonly #watches: FolderWatches
  /** Watches above the roots that are files or not there: nothing below would tell of their change. */
  readonly #watchesAbove: FolderWatches
  readonly #watchedFromAbove = new Set<string>()
  readonly #settling: Settling
  readonly #touched = new Set<string>()
  /** Path → what its file was like when it was last read. */
  readonly #signatures = new Map<string, string>()
  /** Problems with folders, and with paths that can't be looked at, by path. */
  readonly #pathProblems = new Map<string, Problem>()
  #work: Promise<void> | undefined
  #comparison: Promise<void> | undefined
  #watching = true
  #cancelCompare: () => void = () => {}
  #started = false
  #closed = false

  constructor(options: FileSourceOptions, onChange: OnChange) {
    this.#roots = [...new Set(options.folders.map(withoutSlash))]
    this.#logger = options.logger
    this.#clock = options.clock ?? systemClock
    this.#onChange = onChange
    const failed = (folder: string, failure: unknown) => this.#watchFailed(folder, failure)
    this.#watches = new FolderWatches(path => this.#touch(path), failed)
    this.#watchesAbove = new FolderWatches(() => this.#touchFromAbove(), failed)
    this.#settling = new Settling(this.#clock, path => this.#touch(path))
  }

  /** Resolves when everything was read once and told. */
  async start(): Promise<void> {
    for (const root of this.#roots) await this.#look(root)
    this.#started = true
    this.#tell(true)
    this.#scheduleCompare()
    if (this.#touched.size > 0) this.#begin()
  }

  /** Ends all watches; nothing is told any more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancelCompare()
    this.#settling.close()
    this.#watches.close()
    this.#watchesAbove.close()
    await this.#comparison
    await this.#work
  }

  #touch(path: string): void {
    if (this.#closed) return
    this.#touched.add(path)
    if (this.#started) this.#begin()
  }

  #touchFromAbove(): void {
    for (const root of this.#watchedFromAbove) this.#touch(root)
  }

  #begin(): void {
    this.#work ??= this.#readTouched().finally(() => {
      this.#work = undefined
      // A path may have been touched after the last look and before here.
      if (this.#touched.size > 0 && !this.#closed) this.#begin()
    })
  }

  async #readTouched(): Promise<void> {
    while (this.#touched.size > 0 && !this.#closed) {
      const paths = [...this.#touched].sort(byPath)
      this.#touched.clear()
      for (const path of paths) await this.#look(path)
      if (!this.#closed) this.#tell(false)
    }
  }

  #tell(always: boolean): void {
    const now = always ? undefined : new Date(this.#clock.now()).toISOString()
    const { change, problems } = this.#catalog.takeChange([...this.#pathProblems.values()], now)
    const { upserts, deletes } = change
    if (!always && !problems && upserts.length === 0 && deletes.length === 0) return
    const counts = {
      upserts: upserts.length,
      deletes: deletes.length,
      problems: this.#catalog.problems.length,
    }
    this.#logger.debug(counts, 'configuration files changed')
    try {
      this.#onChange(change, this.#catalog.problems)
    } catch (failure) {
      this.#logger.error({ err: failure, ...counts }, 'a change of configuration files was not taken')
    }
  }

  /** Reads what is at a path now: a file, a folder with all in it, or nothing. */
  async #look(path: string): Promise<void> {
    const isRoot = this.#roots.includes(path)
    if (isRoot) await this.#watchAbove(path)
    this.#pathProblems.delete(path)
    try {
      const entry = await stat(path, { bigint: true })
      if (entry.isDirectory()) await this.#lookAtFolder(path, entry)
      else if (entry.isFile() && (isRoot || isConfigFile(basename(path)))) await this.#lookAtFile(path, entry)
    } catch (failure) {
      if (isMissing(failure)) this.#missing(path, isRoot)
      else this.#pathProblems.set(path, unreadable(path, failure))
    }
  }

  async #lookAtFolder(folder: string, entry: BigIntStats): Promise<void> {
    if (!this.#roots.includes(folder) && (await leadsUpwards(folder))) return
    this.#settling.clear(folder)
    this.#watchedFromAbove.delete(folder)
    this.#watches.add(folder, `${entry.dev}:${entry.ino}`)
    const present = new Set(await entriesOf(folder))
    await forEach([...present], path => this.#look(path))
    for (const gone of this.#childrenOf(folder)) if (!present.has(gone)) this.#missing(gone, false)
  }

  /** Files and folders directly in a folder, of which something is known. */
  #childrenOf(folder: string): Set<string> {
    const prefix = inside(folder)
    const children = this.#catalog.paths().filter(path => path.startsWith(prefix) && path !== folder)
    return new Set(children.map(path => prefix + path.slice(prefix.length).split(sep, 1)[0]))
  }

  async #lookAtFile(path: string, entry: BigIntStats): Promise<void> {
    const signature = signatureOf(entry)
    const text = await readConfigFile(path)
    if (!text.ok && text.error.code === 'file-not-found') return this.#missing(path, false)
    if (
      text.ok &&
      this.#started &&
      looksUnfinished(text.value) &&
      !this.#settling.lasted(path, 'unfinished', signature)
    )
      return
    this.#settling.clear(path)
    this.#signatures.set(path, signature)
    const before = this.#catalog.get(path)
    this.#catalog.set(path, text.ok ? readState(text.value, path, before) : unreadState(text.error, before))
  }

  #missing(path: string, isRoot: boolean): void {
    if (isRoot) this.#pathProblems.set(path, missingRoot(path))
    const below = inside(path)
    const gone = this.#catalog.paths().filter(known => known === path || known.startsWith(below))
    if (gone.length > 0 && !this.#settling.lasted(path, 'missing', 'missing')) return
    this.#settling.clear(path)
    this.#watches.remove(path)
    for (const file of gone) {
      this.#catalog.set(file, undefined)
      this.#signatures.delete(file)
      this.#settling.clear(file)
    }
    for (const known of this.#pathProblems.keys())
      if (known.startsWith(below) && known !== path) this.#pathProblems.delete(known)
  }

  /**
   * Has a second look taken at whatever is not as it was last seen. It reads nothing itself, so that a change that
   * is made meanwhile does not wait for it.
   */
  async #compare(): Promise<void> {
    const seen = new Set<string>()
    for (const root of this.#roots) await this.#compareAt(root, seen)
    for (const path of this.#catalog.paths()) if (!seen.has(path)) this.#touch(path)
  }

  async #compareAt(path: string, seen: Set<string>): Promise<void> {
    if (this.#closed) return
    const isRoot = this.#roots.includes(path)
    try {
      const entry = await stat(path, { bigint: true })
      if (this.#pathProblems.has(path)) this.#touch(path)
      if (entry.isDirectory()) {
        if (!isRoot && (await leadsUpwards(path))) return
        this.#watches.add(path, `${entry.dev}:${entry.ino}`)
        await forEach(await entriesOf(path), child => this.#compareAt(child, seen))
      } else if (entry.isFile() && (isRoot || isConfigFile(basename(path)))) {
        seen.add(path)
        if (this.#signatures.get(path) !== signatureOf(entry)) this.#touch(path)
      }
    } catch {
      // Whatever it is, the second look says so.
      this.#touch(path)
    }
  }

  /** Watches the nearest folder above a root, before the root is looked at. */
  async #watchAbove(root: string): Promise<void> {
    this.#watchedFromAbove.add(root)
    for (let folder = dirname(root); ; folder = dirname(folder)) {
      try {
        const { dev, ino } = await stat(folder, { bigint: true })
        return this.#watchesAbove.add(folder, `${dev}:${ino}`)
      } catch (failure) {
        if (!isMissing(failure) || folder === dirname(folder)) return this.#watchFailed(folder, failure)
      }
    }
  }

  #watchFailed(folder: string, failure: unknown): void {
    if (this.#closed) return
    // Gone between the look at it and the watch: whoever watches above it tells what becomes of it.
    if (isMissing(failure)) {
      this.#touch(folder)
      return
    }
    this.#logger.warn(
      { folder, reason: errorMessage(failure) },
      'the system does not watch a folder; it is compared now and then',
    )
    this.#watching = false
    this.#scheduleCompare()
  }

  #scheduleCompare(): void {
    this.#cancelCompare()
    if (!this.#started || this.#closed) return
    this.#cancelCompare = this.#clock.after(
      this.#watching ? COMPARE_MS.watching : COMPARE_MS.notWatching,
      () => {
        this.#watching = true
        this.#comparison ??= this.#compare().finally(() => {
          this.#comparison = undefined
        })
        this.#scheduleCompare()
      },
    )
  }
}

/** The entries of a folder, hidden ones left out, in the order of their names. */
async function entriesOf(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter(name => !name.startsWith('.')).sort()
  return names.map(name => join(folder, name))
}

/** Does something with each path, with some at once. */
async function forEach(paths: readonly string[], act: (path: string) => Promise<void>): Promise<void> {
  for (let index = 0; index < paths.length; index += AT_ONCE)
    await Promise.all(paths.slice(index, index + AT_ONCE).map(act))
}

/** What tells one state of a file from another without reading it. */
function signatureOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':')
}

function withoutSlash(folder: string): string {
  const path = normalize(folder)
  return path.length > 1 && path.endsWith(sep) ? path.slice(0, -1) : path
}

/** What the paths of everything in a folder begin with. */
function inside(folder: string): string {
  return folder === '.' ? '' : folder.endsWith(sep) ? folder : folder + sep
}

function isMissing(failure: unknown): boolean {
  return (
    failure instanceof Error && 'code' in failure && (failure.code === 'ENOENT' || failure.code === 'ENOTDIR')
  )
}

function missingRoot(path: string): Problem {
  return {
    severity: 'warning',
    code: 'folder-missing',
    message: `the folder ${path} is not there; it is read when it appears`,
  }
}
