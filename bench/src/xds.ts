import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { errorMessage } from '@seine/kit'
import { measure, type SizeFigures } from './xds/measure.ts'
import { missedTargets, table } from './xds/report.ts'
import { readSettings, type Settings, USAGE } from './xds/settings.ts'

// Measures the control plane: what a change costs, and how long it takes to reach every sidecar.
// JSON goes to a file where one is named, else to standard output after the tables, which go to stderr.
try {
  const settings = readSettings(process.argv.slice(2))
  if (settings === 'help') console.log(USAGE)
  else process.exitCode = await run(settings)
} catch (failure) {
  console.error(`bench:xds: ${errorMessage(failure)}`)
  process.exitCode = 2
}

/** @returns the exit code: 1 when a sidecar missed a change. */
async function run(settings: Settings): Promise<number> {
  const sizes: SizeFigures[] = []
  for (const plan of settings.plans) {
    const name = `${plan.services} services × ${plan.proxies} sidecars, ${plan.sidecars}`
    const figures = await measure(plan, settings, text => console.error(`${name}: ${text}`))
    sizes.push(figures)
    console.error(`\n${table(figures)}`)
    const missed = missedTargets(figures)
    if (missed)
      console.error(missed.length === 0 ? 'All targets are met.' : `Not met:\n  ${missed.join('\n  ')}`)
    console.error('')
  }
  const { changes, warmUp, namespaces, pods } = settings
  const report = {
    node: process.version,
    processors: availableParallelism(),
    changes,
    warmUp,
    namespaces,
    pods,
    sizes,
  }
  const json = `${JSON.stringify(report, null, 2)}\n`
  if (settings.json) await writeFile(settings.json, json)
  else console.log(json)
  const all = sizes.flatMap(({ changes: lone, storm }) => [...Object.values(lone), ...(storm ? [storm] : [])])
  return all.some(({ missed }) => missed > 0) ? 1 : 0
}
