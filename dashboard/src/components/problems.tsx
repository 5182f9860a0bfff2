import type { ApiProblem } from '@seine/insights/api-types'
import { shortPath } from '../format.ts'
import { Badge } from './parts.tsx'

/** Problems with the object, the field and the line that each is about. */
export function Problems({ problems }: { problems: readonly ApiProblem[] }) {
  return (
    <ul className="problems">
      {problems.map(problem => (
        <li key={JSON.stringify(problem)} data-testid="problems-row">
          <div className="problem-head">
            <Badge
              tone={problem.severity === 'error' ? 'bad' : problem.severity === 'warning' ? 'warn' : 'muted'}
            >
              {problem.severity}
            </Badge>
            <span className="mono">
              {problem.kind
                ? `${problem.kind} ${problem.namespace ? `${problem.namespace}/` : ''}${problem.name ?? ''}`
                : problem.source}
            </span>
            {problem.file ? (
              <span className="place mono" title={problem.file}>
                {shortPath(problem.file)}:{problem.line}
                {problem.column ? `:${problem.column}` : ''}
              </span>
            ) : null}
          </div>
          <p>
            {problem.path ? <code>{problem.path}</code> : null} {problem.message}{' '}
            <span className="quiet mono">{problem.code}</span>
          </p>
        </li>
      ))}
    </ul>
  )
}
