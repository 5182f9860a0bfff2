import { open, realpath } from 'node:fs/promises'
import { dirname, extname, sep } from 'node:path'
import { err, errorMessage, ok, type Problem, type Result } from '@seine/kit'

/** The largest file, or standard input, that is read, in bytes. */
export const MAX_FILE_BYTES = 16 << 20

const EXTENSIONS = new Set(['.yaml', '.yml', '.json'])

/** Whether a file in a folder is configuration, by its name. Hidden files and editors' copies are not. */
export function isConfigFile(name: string): boolean {
  return !name.startsWith('.') && EXTENSIONS.has(extname(name).toLowerCase())
}

/** Whether a folder is a link to a folder that holds it: following it would never end. */
export async function leadsUpwards(folder: string): Promise<boolean> {
  const [parent, target] = await Promise.all([realpath(dirname(folder)), realpath(folder)])
  return parent === target || parent.startsWith(target.endsWith(sep) ? target : target + sep)
}

/** The order of files: folder by folder, by name. */
export function byPath(a: string, b: string): number {
  const [left, right] = [a.split(sep), b.split(sep)]
  for (const [index, part] of left.entries()) {
    const other = right[index]
    if (other === undefined) return 1
    if (part !== other) return part < other ? -1 : 1
  }
  return left.length - right.length
}

/** Reads a file's text, or says why it can't be read. */
export async function readConfigFile(path: string): Promise<Result<string, Problem>> {
  try {
    const file = await open(path, 'r')
    try {
      const entry = await file.stat()
      if (entry.size > MAX_FILE_BYTES) return err(tooLarge(path))
      if (entry.isFile()) return ok(await file.readFile('utf8'))
      // A pipe, as in `seinectl apply -f <(generate)`.
      return await readBounded(file.createReadStream({ autoClose: false }), path)
    } finally {
      await file.close()
    }
  } catch (failure) {
    return err(unreadable(path, failure))
  }
}

/** Reads a stream to its end, up to the size of the largest file. */
export async function readBounded(
  stream: AsyncIterable<Uint8Array | string>,
  name: string,
): Promise<Result<string, Problem>> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    size += bytes.length
    if (size > MAX_FILE_BYTES) return err(tooLarge(name))
    chunks.push(bytes)
  }
  return ok(Buffer.concat(chunks).toString('utf8'))
}

/** A file or folder that the system does not let us read. */
export function unreadable(path: string, failure: unknown): Problem {
  const missing = failure instanceof Error && 'code' in failure && failure.code === 'ENOENT'
  const message = missing ? 'there is no such file or folder' : `can't be read: ${errorMessage(failure)}`
  return {
    severity: 'error',
    code: missing ? 'file-not-found' : 'file-unreadable',
    message,
    position: { file: path, line: 1 },
  }
}

function tooLarge(path: string): Problem {
  return {
    severity: 'error',
    code: 'file-too-large',
    message: 'is larger than 16 MiB: split it',
    position: { file: path, line: 1 },
  }
}
