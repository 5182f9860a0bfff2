import { durationMs, type StatisticsSettings } from '@seine/api'
import { isRecord } from '@seine/kit'
import { type AnnotationReader, SIDECAR } from './annotation-reader.ts'

/** How often Envoy's statistics go out where nobody says, in ms. */
const FLUSH_MS = 2000

/** Reads what annotations say of Envoy's statistics: it goes before what `proxyStatsMatcher` says, list by list. */
export function readStatistics(reader: AnnotationReader): StatisticsSettings {
  const lists = {
    ...list(reader, 'prefixes', 'statsInclusionPrefixes'),
    ...list(reader, 'suffixes', 'statsInclusionSuffixes'),
    ...list(reader, 'regexps', 'statsInclusionRegexps'),
  }
  const buckets = reader.json(
    `${SIDECAR}/statsHistogramBuckets`,
    bucketsIn,
    'a JSON map of beginnings of names to lists of growing bounds',
  )
  const flushMs = length(reader, 'statsFlushInterval')
  const evictionMs = length(reader, 'statsEvictionInterval')
  if (evictionMs !== undefined && evictionMs % (flushMs ?? FLUSH_MS) !== 0)
    reader.complain(
      `${SIDECAR}/statsEvictionInterval`,
      `must be a multiple of the interval at which statistics go out, ${flushMs ?? FLUSH_MS} ms`,
    )
  return {
    ...lists,
    ...(buckets ? { buckets } : {}),
    ...(flushMs === undefined ? {} : { flushMs }),
    ...(evictionMs === undefined ? {} : { evictionMs }),
  }
}

function list(reader: AnnotationReader, name: string, annotation: string): Record<string, string[]> {
  const given = reader.list(`${SIDECAR}/${annotation}`, () => true, '')
  return given.length > 0 ? { [name]: given } : {}
}

function length(reader: AnnotationReader, annotation: string): number | undefined {
  const valid = (text: string) =>
    /^(\d+(\.\d+)?(h|m|s|ms))+$/.test(text) && durationMs(text) >= 1 && Number.isInteger(durationMs(text))
  const text = reader.checked(`${SIDECAR}/${annotation}`, valid, 'a duration such as 5s')
  return text === undefined ? undefined : durationMs(text)
}

function bucketsIn(value: unknown): Readonly<Record<string, readonly number[]>> | undefined {
  if (!isRecord(value)) return undefined
  const entries: [string, unknown][] = Object.entries(value)
  return entries.every((entry): entry is [string, number[]] => isGrowing(entry[1]))
    ? Object.fromEntries(entries)
    : undefined
}

function isGrowing(value: unknown): value is number[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((bound, at) => typeof bound === 'number' && bound > (at === 0 ? 0 : Number(value[at - 1])))
  )
}
