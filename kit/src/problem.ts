/**
 * How bad a {@link Problem} is: an error keeps its resource out of the mesh, a warning and an info do not. What analysis
 * finds has the level that Istio gives it, and keeps nothing out.
 */
export type Severity = 'error' | 'warning' | 'info'

/** Names one configuration object, as `kubectl` would. `namespace` is empty for cluster-scoped kinds. */
export interface ResourceRef {
  readonly kind: string
  /** Set where two kinds have the same name: the Gateway API's `Gateway` beside Istio's. */
  readonly group?: string
  readonly namespace: string
  readonly name: string
  /** Set for the version of an object that some proxies get before the others do. */
  readonly canary?: true
}

/** Where in a file something stands. `line` and `column` count from 1. */
export interface Position {
  readonly file: string
  readonly line: number
  readonly column?: number
}

/**
 * Something a person should know about their configuration, as a value: what is wrong, in which
 * object and field, where that stands, and what to do. Problems are returned, never thrown.
 */
export interface Problem {
  readonly severity: Severity
  /** A stable code: an Istio message code (`IST0101`) where one exists, else a short kebab-case word. */
  readonly code: string
  /** Lower case, no final period, says what to do where that is not obvious. */
  readonly message: string
  readonly resource?: ResourceRef
  /** The field, as `spec.http[0].route[1].destination.host`. */
  readonly path?: string
  readonly position?: Position
}

/** `VirtualService default/reviews`, or `Namespace default` for cluster-scoped kinds. */
export function formatRef(ref: ResourceRef): string {
  const name = ref.namespace === '' ? ref.name : `${ref.namespace}/${ref.name}`
  return `${ref.kind} ${name}${ref.canary ? ' (canary)' : ''}`
}

/** `reviews.yaml:12:5`, the form that editors and terminals turn into a link. */
export function formatPosition(position: Position): string {
  const column = position.column === undefined ? '' : `:${position.column}`
  return `${position.file}:${position.line}${column}`
}

/** One line for a terminal or a log: position, severity, object, field, message and code. */
export function formatProblem(problem: Problem): string {
  const where = problem.position ? `${formatPosition(problem.position)}: ` : ''
  const object = problem.resource ? `${formatRef(problem.resource)}: ` : ''
  const field = problem.path ? `${problem.path}: ` : ''
  return `${where}${problem.severity}: ${object}${field}${problem.message} [${problem.code}]`
}
