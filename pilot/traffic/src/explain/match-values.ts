import type {
  HeaderMatcher,
  QueryParameterMatcher,
} from '@seine/envoy/envoy/config/route/v3/route_components'
import type { StringMatcher } from '@seine/envoy/envoy/type/matcher/v3/string'
import { RE2JS } from 're2js'
import { type HttpRequest, headerOf, queryOf } from './request.ts'

/** Whether a whole text matches a regular expression by RE2's rules, which are Envoy's. */
export function regexMatches(regex: string, text: string): boolean {
  return RE2JS.compile(regex).matches(text)
}

/** Whether a value matches; `undefined` never does. */
export function stringMatches(matcher: StringMatcher, value: string | undefined): boolean {
  if (value === undefined) return false
  const { matchPattern: pattern, ignoreCase } = matcher
  const fold = (text: string) => (ignoreCase ? text.toLowerCase() : text)
  switch (pattern.case) {
    case 'exact':
      return fold(value) === fold(pattern.value)
    case 'prefix':
      return fold(value).startsWith(fold(pattern.value))
    case 'suffix':
      return fold(value).endsWith(fold(pattern.value))
    case 'contains':
      return fold(value).includes(fold(pattern.value))
    case 'safeRegex':
      return regexMatches(pattern.value.regex, value)
    default:
      return false
  }
}

/** A string matcher in words: `is "x"`, `starts with "x"`. */
export function describeString({ matchPattern: pattern }: StringMatcher): string {
  switch (pattern.case) {
    case 'exact':
      return `is "${pattern.value}"`
    case 'prefix':
      return `starts with "${pattern.value}"`
    case 'suffix':
      return `ends with "${pattern.value}"`
    case 'contains':
      return `contains "${pattern.value}"`
    case 'safeRegex':
      return `matches the expression ${pattern.value.regex}`
    default:
      return 'is something this version can not read'
  }
}

/** Whether a request's header matches. A header that is missing matches no value, unless it counts as empty. */
export function headerMatches(matcher: HeaderMatcher, request: HttpRequest): boolean {
  const { headerMatchSpecifier: specifier, invertMatch, treatMissingHeaderAsEmpty } = matcher
  const value = headerOf(request, matcher.name)
  if (specifier.case === undefined || specifier.case === 'presentMatch') {
    const wanted = specifier.case === undefined || specifier.value
    return ((value !== undefined) === wanted) !== invertMatch
  }
  if (value === undefined && !treatMissingHeaderAsEmpty) return false
  if (specifier.case !== 'stringMatch') return false
  return stringMatches(specifier.value, value ?? '') !== invertMatch
}

/** A header matcher in words. */
export function describeHeader({
  name,
  headerMatchSpecifier: specifier,
  invertMatch,
}: HeaderMatcher): string {
  const what =
    specifier.case === 'stringMatch'
      ? describeString(specifier.value)
      : specifier.case === 'presentMatch' && !specifier.value
        ? 'is absent'
        : 'is there'
  return invertMatch ? `not: ${name} ${what}` : `${name} ${what}`
}

/** Whether a request's query parameter matches. */
export function queryMatches(matcher: QueryParameterMatcher, request: HttpRequest): boolean {
  const value = queryOf(request).get(matcher.name)
  const specifier = matcher.queryParameterMatchSpecifier
  if (specifier.case === 'stringMatch') return stringMatches(specifier.value, value)
  return (value !== undefined) === (specifier.case === 'presentMatch' ? specifier.value : true)
}

/** A query matcher in words. */
export function describeQuery({
  name,
  queryParameterMatchSpecifier: specifier,
}: QueryParameterMatcher): string {
  return specifier.case === 'stringMatch'
    ? `query parameter ${name} ${describeString(specifier.value)}`
    : `query parameter ${name} is there`
}
