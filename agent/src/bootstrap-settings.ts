import type { BootstrapSettings } from '@seine/api'
import { err, isRecord, ok, type Result } from '@seine/kit'

const LISTS = ['prefixes', 'suffixes', 'regexps']
const AMOUNTS = ['flushMs', 'evictionMs']

/** Reads what the injector wrote, which is JSON. @returns it, or what is wrong with it. */
export function readBootstrapSettings(text: string): Result<BootstrapSettings, string> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return err(`must be JSON, not ${text}`)
  }
  if (!isRecord(value)) return err(`must be a JSON object, not ${text}`)
  const { stats = {}, runtime = {}, ...others } = value
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) return err(`has no ${unknown}`)
  if (!isRecord(stats)) return err('stats must be an object')
  const wrong = Object.entries(stats).find(([name, one]) => !isStatistic(name, one))
  if (wrong) return err(`stats.${wrong[0]} can not be read`)
  if (!isRecord(runtime) || !Object.values(runtime).every(one => typeof one === 'string'))
    return err('runtime must be an object of strings')
  return ok(value as BootstrapSettings)
}

function isStatistic(name: string, value: unknown): boolean {
  const isListOf = (list: unknown, type: 'string' | 'number') =>
    Array.isArray(list) && list.every(one => typeof one === type)
  if (LISTS.includes(name)) return isListOf(value, 'string')
  if (AMOUNTS.includes(name)) return typeof value === 'number' && value >= 1
  return name === 'buckets' && isRecord(value) && Object.values(value).every(one => isListOf(one, 'number'))
}
