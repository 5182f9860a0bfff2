import { parseArgs } from 'node:util'
import { CHANGE_KINDS, KINDS, type Kind, SIDECAR_KINDS, type SidecarKind } from './changes.ts'
import type { Storm } from './storm.ts'

/** One mesh, and what to measure there. */
export interface Plan {
  readonly services: number
  readonly proxies: number
  readonly sidecars: SidecarKind
  readonly kinds: readonly Kind[]
}

/** What to measure, and how. */
export interface Settings {
  readonly plans: readonly Plan[]
  /** Changes of each kind. */
  readonly changes: number
  /** Changes of each kind before those, which are not measured: what they run through is compiled then. */
  readonly warmUp: number
  readonly storm: Storm
  /** Namespaces that services and proxies are spread over. */
  readonly namespaces: number
  /** Endpoints are pods with sidecars, and not only addresses. */
  readonly pods: boolean
  /** File for the figures. */
  readonly json: string | undefined
  /** Folder for a CPU profile of the control plane. */
  readonly profile: string | undefined
}

/** What is measured without flags: the peer's size in each way, one smaller and one larger, in about six minutes. */
const DEFAULT_PLANS: readonly Plan[] = [
  { services: 100, proxies: 10, sidecars: 'on-demand', kinds: CHANGE_KINDS },
  { services: 1000, proxies: 100, sidecars: 'on-demand', kinds: KINDS },
  { services: 1000, proxies: 100, sidecars: 'own-sidecar', kinds: CHANGE_KINDS },
  { services: 1000, proxies: 100, sidecars: 'everything', kinds: CHANGE_KINDS },
  { services: 5000, proxies: 500, sidecars: 'on-demand', kinds: KINDS },
]

export const USAGE = `npm run bench:xds -- [flags]
  --services <n,…>    services, two endpoints each; with --proxies every combination is measured
  --proxies <n,…>     simulated sidecars
  --sidecars <kind,…> what sidecars get (on-demand)
                        on-demand    what their workloads call
                        own-sidecar  the same, with a Sidecar resource of its own for each
                        everything   the whole mesh
  --kinds <kind,…>    ${KINDS.join(', ')} (${CHANGE_KINDS.join(', ')})
  --changes <n>       changes of each kind (20)
  --warm-up <n>       changes of each kind before those, which are not measured (10)
  --storm <n>x<s>     changes a second, for how many seconds (100x30)
  --namespaces <n>    namespaces that services and sidecars are spread over (1)
  --pods              endpoints are pods with sidecars; without it they are bare addresses
  --json <file>       write the figures there; without it they go to standard output
  --profile <folder>  write a CPU profile of the control plane there
Without --services, --proxies, --sidecars and --kinds, in about six minutes:
${DEFAULT_PLANS.map(
  ({ services, proxies, sidecars, kinds }) =>
    `  ${services} services × ${proxies} sidecars, ${sidecars}: ${kinds.join(', ')}`,
).join('\n')}`

/** Reads the command line. Throws with what is wrong. */
export function readSettings(args: readonly string[]): Settings | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      services: { type: 'string' },
      proxies: { type: 'string' },
      sidecars: { type: 'string' },
      kinds: { type: 'string' },
      changes: { type: 'string', default: '20' },
      'warm-up': { type: 'string', default: '10' },
      storm: { type: 'string', default: '100x30' },
      namespaces: { type: 'string', default: '1' },
      pods: { type: 'boolean', default: false },
      json: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  return {
    plans: plansOf(values),
    changes: count('changes', values.changes),
    warmUp: count('warm-up', values['warm-up'], 0),
    storm: stormOf(values.storm),
    namespaces: count('namespaces', values.namespaces),
    pods: values.pods,
    json: values.json,
    profile: values.profile,
  }
}

interface PlanFlags {
  readonly services?: string | undefined
  readonly proxies?: string | undefined
  readonly sidecars?: string | undefined
  readonly kinds?: string | undefined
}

function plansOf({ services, proxies, sidecars, kinds }: PlanFlags): readonly Plan[] {
  if ([services, proxies, sidecars, kinds].every(flag => flag === undefined)) return DEFAULT_PLANS
  const numbers = (flag: string, text: string) => text.split(',').map(one => count(flag, one))
  const chosen = (kinds ?? CHANGE_KINDS.join()).split(',').map(kind => named('kinds', KINDS, kind))
  return numbers('services', services ?? '1000').flatMap(service =>
    numbers('proxies', proxies ?? '100').flatMap(proxy =>
      (sidecars ?? 'on-demand').split(',').map(kind => ({
        services: service,
        proxies: proxy,
        sidecars: named('sidecars', SIDECAR_KINDS, kind),
        kinds: chosen,
      })),
    ),
  )
}

function stormOf(text: string): Storm {
  const [perSecond = '', seconds = '', ...rest] = text.split('x')
  if (rest.length > 0) throw new Error(`--storm takes <changes a second>x<seconds>, not "${text}"`)
  return { perSecond: count('storm', perSecond), seconds: count('storm', seconds) }
}

function count(flag: string, text: string, least = 1): number {
  const value = Number(text)
  if (text === '' || !Number.isInteger(value) || value < least)
    throw new Error(`--${flag} takes whole numbers from ${least}, not "${text}"`)
  return value
}

function named<K extends string>(flag: string, known: readonly K[], text: string): K {
  const found = known.find(one => one === text)
  if (!found) throw new Error(`--${flag} takes ${known.join(', ')}, not "${text}"`)
  return found
}
