import type { MeshConfig } from '@seine/api'
import { labelsMatch } from './gateway-api/selectors.ts'

type Labels = Readonly<Record<string, string>>
type Selectors = NonNullable<MeshConfig['discoverySelectors']>

const ALL: Selectors = []
const NONE: ReadonlySet<string> = new Set()
/** The label by which Kubernetes has each namespace say its name. */
const NAME_LABEL = 'kubernetes.io/metadata.name'

/**
 * Which namespaces the mesh sees, by the settings' `discoverySelectors`: those whose labels one of them asks for, or all
 * where there are none. What is in no namespace is always seen.
 */
export class Discovery {
  #selectors: Selectors = ALL
  #labels: ReadonlyMap<string, Labels> = new Map()
  readonly #answers = new Map<string, boolean>()

  /** Whether what is in a namespace is seen. */
  sees(namespace: string): boolean {
    const known = this.#answers.get(namespace)
    if (known !== undefined) return known
    const seen = this.#judge(namespace)
    this.#answers.set(namespace, seen)
    return seen
  }

  /** Judges by these from now on. @returns the namespaces among those asked about that are judged otherwise. */
  take(selectors: Selectors = ALL, labels: ReadonlyMap<string, Labels>): ReadonlySet<string> {
    if (selectors === this.#selectors && labels === this.#labels) return NONE
    this.#selectors = selectors
    this.#labels = labels
    const changed = [...this.#answers].filter(([namespace, seen]) => this.#judge(namespace) !== seen)
    for (const [namespace, seen] of changed) this.#answers.set(namespace, !seen)
    return new Set(changed.map(([namespace]) => namespace))
  }

  #judge(namespace: string): boolean {
    if (namespace === '' || this.#selectors.length === 0) return true
    const labels = { [NAME_LABEL]: namespace, ...this.#labels.get(namespace) }
    return this.#selectors.some(selector => labelsMatch(selector, labels))
  }
}
