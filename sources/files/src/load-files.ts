import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type MeshResource, type ParsedFile, parseYaml } from '@seine/api'
import type { Problem } from '@seine/kit'
import { firstOfEach } from './duplicates.ts'
import { isConfigFile, leadsUpwards, readBounded, readConfigFile, unreadable } from './read.ts'

/** Stands for standard input among paths. */
export const STDIN = '-'

/** What {@link loadFiles} reads `-` from. */
export interface LoadOptions {
  readonly stdin?: AsyncIterable<Uint8Array | string>
}

/** The text of one file. */
export interface FileText {
  readonly path: string
  readonly text: string
}

/** What files hold, and what kept some of it from being read. */
export interface LoadedFiles extends ParsedFile {
  /** Files and folders that can't be read; among `problems` too. */
  readonly fileProblems: readonly Problem[]
  /** Objects that are there twice; among `problems` too. */
  readonly duplicates: readonly Problem[]
}

/**
 * Reads files, folders (with the folders in them) and standard input (`-`). Files of a folder are those
 * that end in .yaml, .yml or .json; a file that is named itself may be called anything. The same object
 * twice is a problem, and the first one counts.
 */
export async function loadFiles(paths: readonly string[], options: LoadOptions = {}): Promise<LoadedFiles> {
  const { texts, problems } = await readTexts(paths, options)
  const parsed = texts.map(({ path, text }) => parseYaml(text, path))
  const all: MeshResource[] = parsed.flatMap(file => file.resources)
  const { resources, problems: duplicates } = firstOfEach(all)
  return {
    resources: [...resources.values()],
    problems: [...problems, ...parsed.flatMap(file => file.problems), ...duplicates],
    objects: parsed.flatMap(file => file.objects),
    fileProblems: problems,
    duplicates,
  }
}

/** The texts of all files that the paths stand for, each once, folders in the order of their names. */
export async function readTexts(
  paths: readonly string[],
  options: LoadOptions = {},
): Promise<{ texts: FileText[]; problems: Problem[] }> {
  const found = new Set<string>()
  const problems: Problem[] = []
  for (const path of paths) await expand(path, found, problems)
  const texts: FileText[] = []
  for (const path of found) {
    const text =
      path === STDIN ? await readBounded(options.stdin ?? process.stdin, 'stdin') : await readConfigFile(path)
    if (text.ok) texts.push({ path: path === STDIN ? 'stdin' : path, text: text.value })
    else problems.push(text.error)
  }
  return { texts, problems }
}

async function expand(path: string, found: Set<string>, problems: Problem[]): Promise<void> {
  if (path === STDIN) {
    found.add(STDIN)
    return
  }
  try {
    if ((await stat(path)).isDirectory()) await expandFolder(path, found, problems)
    else found.add(path)
  } catch (failure) {
    problems.push(unreadable(path, failure))
  }
}

async function expandFolder(folder: string, found: Set<string>, problems: Problem[]): Promise<void> {
  for (const name of (await readdir(folder)).sort()) {
    if (name.startsWith('.')) continue
    const path = join(folder, name)
    try {
      const entry = await stat(path)
      if (entry.isFile() && isConfigFile(name)) found.add(path)
      else if (entry.isDirectory() && !(await leadsUpwards(path))) await expandFolder(path, found, problems)
    } catch (failure) {
      problems.push(unreadable(path, failure))
    }
  }
}
