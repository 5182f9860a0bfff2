import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder } from '@seine/kit'

/** The checkout that this program is part of. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

/** What the demo reads and runs. */
export const PATHS = {
  app: join(ROOT, 'demo', 'app'),
  config: join(ROOT, 'demo', 'config'),
  seined: join(ROOT, 'seined', 'bin', 'seined.js'),
} as const

/** Where the demo keeps its state unless told otherwise. */
export function defaultStateFolder(): string {
  return join(cacheFolder(), 'demo')
}

export const DASHBOARD = 'http://127.0.0.1:15080'
