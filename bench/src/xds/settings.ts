import { parseArgs } from 'node:util'
import { CHANGE_KINDS, type ChangeKind, SIDECAR_KINDS, type SidecarKind } from './changes.ts'

/** One mesh to measure. */
export interface MeshSize {
  readonly services: number
  readonly proxies: number
  readonly sidecars: SidecarKind
}

/** What to measure, and how. */
export interface Settings {
  readonly sizes: readonly MeshSize[]
  /** Changes of each kind. */
  readonly changes: number
  readonly kinds: readonly ChangeKind[]
  /** Namespaces that services and proxies are spread over. */
  readonly namespaces: number
  /** Endpoints are pods with sidecars, and not only addresses. */
  readonly pods: boolean
  /** File for the figures. */
  readonly json: string | undefined
  /** Folder for a CPU profile of the control plane. */
  readonly profile: string | undefined
}

/** What is measured without flags: the peer's size, one smaller, and one larger in each direction. */
const DEFAULT_SIZES: readonly Omit<MeshSize, 'sidecars'>[] = [
  { services: 100, proxies: 10 },
  { services: 1000, proxies: 100 },
  { services: 1000, proxies: 500 },
  { services: 5000, proxies: 100 },
]

export const USAGE = `npm run bench:xds -- [flags]
  --services <n,…>    services, two endpoints each; with --proxies every combination is measured
  --proxies <n,…>     simulated sidecars
  --sidecars <kind,…> ${SIDECAR_KINDS.join(': get what their workloads call; ')}: get the whole mesh (both)
  --changes <n>       changes of each kind (20)
  --kinds <kind,…>    ${CHANGE_KINDS.join(', ')} (all)
  --namespaces <n>    namespaces that services and sidecars are spread over (1)
  --pods              endpoints are pods with sidecars; without it they are bare addresses
  --json <file>       write the figures there too
  --profile <folder>  write a CPU profile of the control plane there
Without --services and --proxies: ${DEFAULT_SIZES.map(({ services, proxies }) => `${services}×${proxies}`).join(', ')} (services × sidecars).`

/** Reads the command line. Throws with what is wrong. */
export function readSettings(args: readonly string[]): Settings | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      services: { type: 'string' },
      proxies: { type: 'string' },
      sidecars: { type: 'string', default: SIDECAR_KINDS.join(',') },
      changes: { type: 'string', default: '20' },
      kinds: { type: 'string', default: CHANGE_KINDS.join(',') },
      namespaces: { type: 'string', default: '1' },
      pods: { type: 'boolean', default: false },
      json: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  return {
    sizes: sizesOf(values.services, values.proxies).flatMap(size =>
      values.sidecars.split(',').map(kind => ({ ...size, sidecars: named('sidecars', SIDECAR_KINDS, kind) })),
    ),
    changes: count('changes', values.changes),
    kinds: values.kinds.split(',').map(kind => named('kinds', CHANGE_KINDS, kind)),
    namespaces: count('namespaces', values.namespaces),
    pods: values.pods,
    json: values.json,
    profile: values.profile,
  }
}

function sizesOf(
  services: string | undefined,
  proxies: string | undefined,
): readonly Omit<MeshSize, 'sidecars'>[] {
  if (services === undefined && proxies === undefined) return DEFAULT_SIZES
  const all = (flag: string, text: string) => text.split(',').map(one => count(flag, one))
  return all('services', services ?? '1000').flatMap(service =>
    all('proxies', proxies ?? '100').map(proxy => ({ services: service, proxies: proxy })),
  )
}

function count(flag: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${flag} takes whole numbers from 1, not "${text}"`)
  return value
}

function named<K extends string>(flag: string, known: readonly K[], text: string): K {
  const found = known.find(one => one === text)
  if (!found) throw new Error(`--${flag} takes ${known.join(', ')}, not "${text}"`)
  return found
}
