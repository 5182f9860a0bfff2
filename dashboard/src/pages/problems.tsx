import type { ApiProblem } from '@seine/insights/api-types'
import { useProblems } from '../api.ts'
import { PageHead, ProblemBadge } from '../components/parts.tsx'
import { Problems } from '../components/problems.tsx'
import { Empty, Loaded } from '../components/states.tsx'
import { useFilter } from '../search.ts'

const SEVERITIES = ['error', 'warning', 'info'] as const

/** What is wrong with the configuration and with what runs, now, the worst first. */
export function ProblemsPage() {
  const query = useProblems()
  const filter = useFilter()
  return (
    <>
      <PageHead
        title="Problems"
        sub="What validation, analysis and the sidecars say; where an object can't be used, its last good version stays in force"
      >
        <Counts problems={query.data ?? []} />
      </PageHead>
      <Loaded query={query}>
        {problems => {
          const shown = SEVERITIES.flatMap(severity =>
            problems.filter(problem => problem.severity === severity && filter(textOf(problem))),
          )
          if (shown.length > 0) return <Problems problems={shown} />
          return problems.length > 0 ? (
            <Empty title="No problem matches">{problems.length} are hidden by the filter.</Empty>
          ) : (
            <Empty title="No problems">
              All configuration is valid, and every reference leads somewhere.
            </Empty>
          )
        }}
      </Loaded>
    </>
  )
}

function Counts({ problems }: { problems: readonly ApiProblem[] }) {
  return (
    <span className="problem-counts">
      {SEVERITIES.map(severity => {
        const count = problems.filter(problem => problem.severity === severity).length
        return <ProblemBadge key={severity} count={count} worst={severity} noun={severity} />
      })}
    </span>
  )
}

function textOf({ code, kind, namespace, name, message, file }: ApiProblem): string {
  return [code, kind, namespace, name, message, file].join(' ')
}
