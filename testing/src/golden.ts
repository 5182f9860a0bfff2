import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Whether goldens are written rather than compared: `npm run golden`. */
export const updatesGoldens = process.env['GOLDEN_UPDATE'] === '1'

/** The folders of a test's cases, sorted. */
export function casesIn(testdata: string): string[] {
  return readdirSync(testdata, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(entry => entry.name)
    .sort()
}

/** What a golden file should hold: the given text when goldens are updated, else what the file holds. */
export function goldenText(path: string, actual: string): string {
  if (updatesGoldens) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, actual)
  }
  if (!existsSync(path)) throw new Error(`${path} is not there yet: "npm run golden" writes it; then read it`)
  return readFileSync(path, 'utf8')
}

/**
 * Files of a case that nothing asked for, which are left from before.
 * When goldens are updated they are removed.
 */
export function strayFiles(folder: string, expected: readonly string[]): string[] {
  const stray = readdirSync(folder).filter(name => !expected.includes(name))
  if (!updatesGoldens) return stray
  for (const name of stray) rmSync(join(folder, name), { recursive: true })
  return []
}
