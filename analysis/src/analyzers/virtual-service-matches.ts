import type { HttpMatchRequest, VirtualService } from '@seine/api'
import type { Analyzer } from '../analyzer.ts'
import type { Path, Report } from '../finding.ts'

interface Rule {
  readonly name?: string | undefined
  readonly match?: readonly object[] | undefined
}

/** Rules (IST0130) and matches (IST0131) of a VirtualService that an earlier one takes everything from. */
export const unusedMatches: Analyzer = {
  name: 'unused-matches',
  inputs: ['VirtualService'],
  analyze(context, report) {
    for (const service of context.all('VirtualService')) {
      for (const kind of ['http', 'tcp', 'tls'] as const)
        checkRules(service, service.spec[kind] ?? [], ['spec', kind], report)
      checkPrefixes(service, report)
    }
  },
}

function checkRules(service: VirtualService, rules: readonly Rule[], base: Path, report: Report): void {
  const seen = new Map<string, number>()
  let catchAll: number | undefined
  for (const [index, rule] of rules.entries()) {
    const name = ruleName(rule, index)
    const path = [...base, index]
    const matches = rule.match ?? []
    if (catchAll !== undefined)
      report(service, 'IST0130', path, {
        rule: name,
        reason: `${ruleName(rules[catchAll], catchAll)} has no match and takes everything`,
      })
    else if (matches.length > 0) checkMatches(service, rules, index, seen, path, report)
    if (matches.length === 0) catchAll ??= index
  }
}

function checkMatches(
  service: VirtualService,
  rules: readonly Rule[],
  index: number,
  seen: Map<string, number>,
  path: Path,
  report: Report,
): void {
  const rule = rules[index]
  let duplicates = 0
  for (const [at, match] of (rule?.match ?? []).entries()) {
    const key = canonical({ ...match, name: undefined })
    const earlier = seen.get(key)
    if (earlier === undefined) {
      seen.set(key, index)
      continue
    }
    duplicates++
    report(service, 'IST0131', [...path, 'match', at], {
      match: matchName(match, at),
      rule: ruleName(rule, index),
      earlier: `rule ${ruleName(rules[earlier], earlier)}`,
    })
  }
  if (duplicates === rule?.match?.length)
    report(service, 'IST0130', path, {
      rule: ruleName(rule, index),
      reason: 'rules before it match all that it matches',
    })
}

interface PlacedMatch {
  readonly match: HttpMatchRequest
  readonly rule: number
  readonly at: number
}

/** A match by prefix takes all that a later match by a longer prefix would, if it asks for nothing else besides. */
function checkPrefixes(service: VirtualService, report: Report): void {
  const rules = service.spec.http ?? []
  const placed: PlacedMatch[] = rules.flatMap((rule, index) =>
    (rule.match ?? []).map((match, at) => ({ match, rule: index, at })),
  )
  for (const [index, later] of placed.entries()) {
    const earlier = placed.slice(0, index).find(({ match }) => coversByPrefix(match, later.match))
    if (!earlier) continue
    report(service, 'IST0131', ['spec', 'http', later.rule, 'match', later.at], {
      match: matchName(later.match, later.at),
      rule: ruleName(rules[later.rule], later.rule),
      earlier: `match ${matchName(earlier.match, earlier.at)} of rule ${ruleName(rules[earlier.rule], earlier.rule)}, by the prefix ${earlier.match.uri?.prefix},`,
    })
  }
}

function coversByPrefix(a: HttpMatchRequest, b: HttpMatchRequest): boolean {
  const [short, long] = [a.uri?.prefix, b.uri?.prefix]
  if (!short || !long || short === long || !long.startsWith(short)) return false
  const { name: _a, uri: _uri, statPrefix: _stat, ...asked } = a
  return Object.entries(asked).every(([field, value]) => implies(b[field as keyof HttpMatchRequest], value))
}

/** Whether whatever satisfies `given` satisfies `asked` too: every condition of the one is one of the other. */
function implies(given: unknown, asked: unknown): boolean {
  if (asked === undefined) return true
  if (typeof asked !== 'object' || asked === null || Array.isArray(asked))
    return canonical(given) === canonical(asked)
  if (typeof given !== 'object' || given === null) return Object.keys(asked).length === 0
  const conditions = given as Readonly<Record<string, unknown>>
  return Object.entries(asked).every(([key, value]) => canonical(conditions[key]) === canonical(value))
}

function ruleName(rule: Rule | undefined, index: number): string {
  return rule?.name ? `"${rule.name}"` : `#${index}`
}

function matchName(match: object, index: number): string {
  return 'name' in match && match.name ? `"${String(match.name)}"` : `#${index}`
}

/** The same text for values that say the same, whatever the order of their fields. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
