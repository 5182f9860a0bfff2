import { type AnalysisOptions, ContinuousAnalysis, problemOf } from '@seine/analysis'
import { type Kind, keyOf, type MeshResource } from '@seine/api'
import {
  type Clock,
  type Closable,
  errorMessage,
  type Logger,
  type Problem,
  type ResourceRef,
} from '@seine/kit'

/** A change is looked at after this: more often follow. */
const SETTLE_MS = 100
/** Of the time, at most a hundredth goes into analysis: a change is to cost what concerns it. */
const REST_PER_WORK = 99

/** What analysis in the background needs from outside. */
export interface BackgroundAnalysisOptions extends AnalysisOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** What there is at this moment, and what is there and can't be used. */
  readonly read: () => { readonly resources: Iterable<MeshResource>; readonly broken: readonly ResourceRef[] }
  /** Called whenever a look at the mesh has ended. */
  readonly onEnd: () => void
}

/**
 * Analysis of a running mesh beside its work: changes are collected, one analyzer runs in a turn of the event loop,
 * so that a push waits for one at most, and the more a look costs, the longer is the rest before the next.
 */
export class BackgroundAnalysis implements Closable {
  readonly #options: BackgroundAnalysisOptions
  readonly #analysis: ContinuousAnalysis
  readonly #changed = new Set<Kind>()
  #problems: readonly Problem[] = []
  /** The unusable objects at the last look; undefined before the first. */
  #broken: string | undefined
  #busy = false
  #restUntil = 0
  #cancel: (() => void) | undefined
  #closed = false

  constructor(options: BackgroundAnalysisOptions) {
    this.#options = options
    this.#analysis = new ContinuousAnalysis(options)
  }

  /** What was found at the last look, the worst first. */
  get problems(): readonly Problem[] {
    return this.#problems
  }

  /** Objects of these kinds came, changed or went. */
  changed(kinds: Iterable<Kind>): void {
    for (const kind of kinds) this.#changed.add(kind)
    if (!this.#busy) this.#plan()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancel?.()
  }

  #plan(): void {
    if (this.#closed) return
    this.#busy = true
    const { clock } = this.#options
    const wait = Math.max(SETTLE_MS, this.#restUntil - clock.now())
    this.#cancel = clock.after(wait, () => this.#look())
  }

  #look(): void {
    const { resources, broken } = this.#options.read()
    const brokenNow = broken.map(keyOf).sort().join('\n')
    const isNew = this.#broken !== brokenNow
    this.#broken = brokenNow
    const changedKinds = new Set(this.#changed)
    this.#changed.clear()
    this.#step(this.#analysis.steps({ resources, broken, ...(isNew ? {} : { changedKinds }) }), 0)
  }

  #step(steps: Iterator<string>, workedMs: number): void {
    const { clock } = this.#options
    const startedAt = clock.now()
    const done = this.#runStep(steps)
    const now = clock.now()
    const worked = workedMs + (now - startedAt)
    if (!done) {
      this.#cancel = clock.after(0, () => this.#step(steps, worked))
      return
    }
    this.#busy = false
    this.#restUntil = now + worked * REST_PER_WORK
    this.#problems = this.#analysis.findings.map(problemOf)
    this.#options.onEnd()
    if (this.#changed.size > 0) this.#plan()
  }

  /** An analyzer that fails must not take the control plane with it: what was found before stands. */
  #runStep(steps: Iterator<string>): boolean {
    try {
      return steps.next().done === true
    } catch (failure) {
      this.#options.logger.error({ reason: errorMessage(failure) }, 'analysis failed: this is a bug in Seine')
      return true
    }
  }
}
