import { useProblems } from '../api.ts'
import { PageHead } from '../components/parts.tsx'
import { Problems } from '../components/problems.tsx'
import { Empty, Loaded } from '../components/states.tsx'

/** What is wrong with the configuration, now. */
export function ProblemsPage() {
  const query = useProblems()
  return (
    <>
      <PageHead
        title="Problems"
        sub="What is wrong with the configuration; the last good version of each stays in force"
      />
      <Loaded query={query}>
        {problems =>
          problems.length === 0 ? (
            <Empty title="No problems">
              All configuration is valid, and every reference leads somewhere.
            </Empty>
          ) : (
            <Problems problems={problems} />
          )
        }
      </Loaded>
    </>
  )
}
