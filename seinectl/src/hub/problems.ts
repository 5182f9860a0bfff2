import { keyOf } from '@seine/api'
import { ask } from './client.ts'
import { asList, at, textAt } from './json.ts'

/** A problem of the running mesh, as `GET /api/v1/problems` lists it. */
export interface HubProblem {
  readonly severity: string
  readonly code: string
  readonly message: string
  readonly resource: {
    readonly kind: string
    readonly namespace: string
    readonly name: string
    readonly group?: string
    readonly canary?: true
  }
  /** Empty for the whole object. */
  readonly path: string
  readonly position?: { readonly file: string; readonly line: number; readonly column?: number }
}

/** What a running mesh says of its configuration, or why it can't be asked. */
export async function listProblems(
  server: string,
  timeoutMs?: number,
): Promise<{ ok: true; value: HubProblem[] } | { ok: false; error: string }> {
  const answer = await ask(server, '/api/v1/problems', timeoutMs)
  return answer.ok ? { ok: true, value: asList(answer.value).map(readProblem) } : answer
}

/** Problems by the key of the object that they are about. */
export function byObject(problems: readonly HubProblem[]): ReadonlyMap<string, readonly HubProblem[]> {
  const found = new Map<string, HubProblem[]>()
  for (const problem of problems) {
    const key = keyOf(problem.resource)
    const known = found.get(key)
    if (known) known.push(problem)
    else found.set(key, [problem])
  }
  return found
}

function readProblem(row: unknown): HubProblem {
  const [file, line, column] = [textAt(row, 'file'), textAt(row, 'line'), textAt(row, 'column')]
  const group = textAt(row, 'group')
  return {
    severity: textAt(row, 'severity'),
    code: textAt(row, 'code'),
    message: textAt(row, 'message'),
    resource: {
      kind: textAt(row, 'kind'),
      namespace: textAt(row, 'namespace'),
      name: textAt(row, 'name'),
      ...(group === '' ? {} : { group }),
      ...(at(row, 'canary') === true ? { canary: true as const } : {}),
    },
    path: textAt(row, 'path'),
    ...(file === ''
      ? {}
      : { position: { file, line: Number(line), ...(column === '' ? {} : { column: Number(column) }) } }),
  }
}
