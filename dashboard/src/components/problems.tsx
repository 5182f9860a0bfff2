import type { ApiProblem } from '@seine/insights/api-types'
import { Link } from '@tanstack/react-router'
import { resourcePath, shortPath } from '../format.ts'
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
              {problem.kind ? (
                <Link to={resourcePath(problem)}>
                  {problem.kind} {problem.namespace ? `${problem.namespace}/` : ''}
                  {problem.name}
                  {problem.canary ? ' (canary)' : ''}
                </Link>
              ) : (
                problem.source
              )}
            </span>
            {problem.file ? (
              <span className="place mono" title={problem.file}>
                {shortPath(problem.file)}:{problem.line}
                {problem.column ? `:${problem.column}` : ''}
              </span>
            ) : null}
          </div>
          <p>
            {problem.path ? <code>{problem.path}</code> : null} {problem.message} <Code code={problem.code} />
          </p>
        </li>
      ))}
    </ul>
  )
}

/** A problem's code; Istio's are explained in its documentation. */
function Code({ code }: { code: string }) {
  if (!/^IST\d{4}$/.test(code)) return <span className="quiet mono">{code}</span>
  const page = `https://istio.io/latest/docs/reference/config/analysis/${code.toLowerCase()}/`
  return (
    <a className="quiet mono" href={page} target="_blank" rel="noreferrer">
      {code}
    </a>
  )
}
