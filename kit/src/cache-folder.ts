import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * The one folder outside a checkout that Seine writes to: `$SEINE_CACHE`, else `$XDG_CACHE_HOME/seine`,
 * else `~/.cache/seine`.
 */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env['SEINE_CACHE']) return env['SEINE_CACHE']
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'seine')
}
