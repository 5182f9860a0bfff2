import { type CheckedObject, type Kind, keyOf, type MeshResource, refOf } from '@seine/api'
import type { ResourceRef } from '@seine/kit'
import type { Analyzer } from './analyzer.ts'
import { analyzers } from './analyzers.ts'
import { AnalysisContext, type AnalysisOptions } from './context.ts'
import { type Finding, finding, findingOf, inOrder } from './finding.ts'

/**
 * Analyses what files hold: what is wrong with each object (IST0106, IST0133), and between them. Objects that
 * break rules of their own are analysed with the others; of those that can't be read only the name counts.
 *
 * @returns the findings, the worst first.
 */
export function analyzeObjects(objects: readonly CheckedObject[], options: AnalysisOptions = {}): Finding[] {
  const resources = objects.flatMap(({ resource }) => resource ?? [])
  const broken = objects.flatMap(({ resource, ref }) => (resource || !ref ? [] : [ref]))
  const ofValidation = objects.flatMap(({ problems }) =>
    problems.flatMap(problem => findingOf(problem) ?? []),
  )
  const context = new AnalysisContext(resources, broken, options)
  const found = analyzers.flatMap(analyzer => run(analyzer, context))
  return inOrder(withoutSuppressed([...ofValidation, ...found], resources))
}

function run(analyzer: Analyzer, context: AnalysisContext): Finding[] {
  const found: Finding[] = []
  analyzer.analyze(context, (resource, code, path, values) =>
    found.push(finding(resource, code, path, values)),
  )
  return found
}

const SUPPRESS = 'galley.istio.io/analyze-suppress'

/** Leaves out what an object's own annotation says is as it should be: codes, or `*` for all. */
function withoutSuppressed(findings: readonly Finding[], resources: Iterable<MeshResource>): Finding[] {
  const suppressed = new Map<string, ReadonlySet<string>>()
  for (const resource of resources) {
    const text = resource.metadata.annotations[SUPPRESS]
    if (text === undefined) continue
    suppressed.set(keyOf(refOf(resource)), new Set(text.split(',').map(code => code.trim())))
  }
  if (suppressed.size === 0) return [...findings]
  return findings.filter(({ resource, code }) => {
    const codes = suppressed.get(keyOf(resource))
    return !codes?.has(code) && !codes?.has('*')
  })
}

/** The changes of a mesh that analysis has to know of. */
export interface AnalysisInput {
  readonly resources: Iterable<MeshResource>
  /** Objects that are there and can't be used. */
  readonly broken?: Iterable<ResourceRef>
  /** The kinds of which something changed since the last time; all, when left out. */
  readonly changedKinds?: ReadonlySet<Kind>
}

/** Analysis of a running mesh: after a change it asks only the analyzers whose inputs changed. */
export class ContinuousAnalysis {
  readonly #options: AnalysisOptions
  #found: ReadonlyMap<Analyzer, readonly Finding[]> = new Map()
  #findings: readonly Finding[] = []

  constructor(options: AnalysisOptions = {}) {
    this.#options = { ...options, complete: true }
  }

  /** What is probably wrong now, the worst first. */
  get findings(): readonly Finding[] {
    return this.#findings
  }

  /** Takes a change in. @returns the names of the analyzers that had to look again. */
  update(input: AnalysisInput): string[] {
    return [...this.steps(input)]
  }

  /**
   * Takes a change in, one analyzer at each step, whose name it yields, so that others may have their turn in
   * between. The findings are the new ones when it has ended; one that is not led to its end must be begun anew.
   */
  *steps({ resources, broken = [], changedKinds }: AnalysisInput): Generator<string, void, undefined> {
    const due = analyzers.filter(
      analyzer =>
        !changedKinds || !this.#found.has(analyzer) || analyzer.inputs.some(kind => changedKinds.has(kind)),
    )
    if (due.length === 0) return
    const all = [...resources]
    const context = new AnalysisContext(all, broken, this.#options)
    const found = new Map(this.#found)
    for (const analyzer of due) {
      found.set(analyzer, run(analyzer, context))
      yield analyzer.name
    }
    this.#found = found
    this.#findings = inOrder(withoutSuppressed([...found.values()].flat(), all))
  }
}
