import { kindDefinitions } from '../kinds.ts'
import { fieldNames } from './schema-walk.ts'
import { editDistance, suggest } from './suggest.ts'

let everyField: ReadonlySet<string> | undefined

/**
 * The field that somebody meant: the nearest in spelling of those that may stand there, else one that belongs
 * elsewhere, where a single letter differs.
 */
export function nearestField(word: string, candidates: readonly string[]): string | undefined {
  const near = suggest(word, candidates)
  if (near !== undefined) return near
  everyField ??= fieldNames(kindDefinitions.map(({ schema }) => schema))
  return everyField.has(word)
    ? undefined
    : [...everyField].find(field => editDistance(word.toLowerCase(), field.toLowerCase()) <= 1)
}
