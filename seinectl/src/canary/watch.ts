import { ask, serverUrl } from '../hub/client.ts'
import { asList, at, textAt } from '../hub/json.ts'
import { listProblems } from '../hub/problems.ts'
import { listProxies, type ProxyListing } from '../hub/proxies.ts'
import type { Terminal } from '../terminal.ts'
import type { Calls } from './verdict.ts'

/** Where a canary is watched: the running mesh, and the proxies that get the change first. */
export class CanaryWatch {
  readonly #server: string
  /** `name.namespace`. */
  readonly #workloads: readonly string[]
  /** Rejections from before, which are not the change's. */
  readonly #oldRejections: ReadonlySet<string>
  /** What the workloads' calls came to in the minute before. */
  readonly before: Calls
  /** When the newest round of reading sidecars had begun as the change came into force, by the hub's clock. */
  #since: number | undefined

  private constructor(
    server: string,
    workloads: readonly string[],
    oldRejections: ReadonlySet<string>,
    before: Calls,
  ) {
    this.#server = server
    this.#workloads = workloads
    this.#oldRejections = oldRejections
    this.before = before
  }

  /** Looks at how things are before a change. Throws with what to do where the mesh can't be asked. */
  static async begin(
    terminal: Terminal,
    flag: string | undefined,
    workloads: readonly string[],
  ): Promise<CanaryWatch> {
    const server = serverUrl(flag, terminal)
    const old = new Set((await proxiesOf(server, workloads)).flatMap(rejectionsOf))
    const now = Date.now()
    const before = sum(await pointsOf(server, workloads, start => start >= now - BASELINE_MS))
    return new CanaryWatch(server, workloads, old, before)
  }

  /** What Envoys of the workloads reject since the beginning, in words. */
  async rejections(): Promise<string[]> {
    const now = (await proxiesOf(this.#server, this.#workloads)).flatMap(rejectionsOf)
    return now.filter(text => !this.#oldRejections.has(text))
  }

  /** What the mesh says is wrong with versions that are canaries. */
  async problems(): Promise<string[]> {
    const answer = await listProblems(this.#server)
    if (!answer.ok) throw new Error(answer.error)
    return answer.value
      .filter(({ resource, severity }) => resource.canary && severity === 'error')
      .map(({ path, message, code }) => `${path === '' ? '' : `${path}: `}${message} [${code}]`)
  }

  /** Whether the mesh has exactly these canaries, by their keys, and all proxies of the workloads acknowledged it. */
  async isInForce(versions: ReadonlySet<string>, keyOf: (row: unknown) => string): Promise<boolean> {
    const rows = asList(await get(this.#server, '/api/v1/resources')).filter(
      row => at(row, 'canary') === true,
    )
    const known = new Set(rows.map(keyOf))
    if ([...versions].some(key => !known.has(key))) return false
    const proxies = await proxiesOf(this.#server, this.#workloads)
    return proxies.every(({ types }) =>
      types.every(({ state }) => state === 'SYNCED' || state === 'NOT SENT'),
    )
  }

  /** What the workloads' calls have come to since the change is in force, of whole rounds of figures. */
  async calls(): Promise<Calls> {
    this.#since ??= Number(at(await get(this.#server, '/api/v1/version'), 'scrape', 'begunAt') ?? Date.now())
    const since = this.#since
    // Figures that begin with that round, give or take what they are rounded by, may hold calls of before: it may
    // have been under way.
    return sum(
      await pointsOf(this.#server, this.#workloads, (start, seconds) => start > since + seconds * 500),
    )
  }
}

const BASELINE_MS = 60_000

async function get(server: string, path: string): Promise<unknown> {
  const answer = await ask(server, path)
  if (!answer.ok) throw new Error(answer.error)
  return answer.value
}

/** The connected proxies of workloads. */
async function proxiesOf(server: string, workloads: readonly string[]): Promise<ProxyListing[]> {
  const listed = await listProxies(server)
  if (!listed.ok) throw new Error(listed.error)
  return listed.value.filter(({ workload, namespace }) => workloads.includes(`${workload}.${namespace}`))
}

function rejectionsOf({ name, namespace, raw }: ProxyListing): string[] {
  return Object.entries(at(raw, 'types') ?? {}).flatMap(([type, status]) => {
    const nack = at(status, 'nack')
    if (nack === undefined) return []
    const names = asList(at(nack, 'resources')).join(', ')
    return [`Envoy of ${name}.${namespace} rejected ${type} ${names}: ${textAt(nack, 'message')}`]
  })
}

interface Point {
  readonly calls: number
  readonly failed: number
}

/** The rounds of figures that are asked for, by their beginning, ms, and their length. */
async function pointsOf(
  server: string,
  workloads: readonly string[],
  isWanted: (start: number, seconds: number) => boolean,
): Promise<Point[]> {
  const points: Point[] = []
  for (const workload of workloads) {
    const dot = workload.lastIndexOf('.')
    const party = `${workload.slice(dot + 1)}/${workload.slice(0, dot)}`
    const series = await get(server, `/api/v1/timeseries?party=${encodeURIComponent(party)}`)
    for (const point of asList(at(series, 'points'))) {
      const [end, seconds] = [Number(at(point, 'at')), Number(at(point, 'seconds'))]
      if (!isWanted(end - seconds * 1000, seconds)) continue
      const calls = Number(at(point, 'rate')) * seconds
      points.push({ calls, failed: calls * Number(at(point, 'errorRate')) })
    }
  }
  return points
}

function sum(points: readonly Point[]): Calls {
  return points.reduce(
    (total, { calls, failed }) => ({ count: total.count + calls, failed: total.failed + failed }),
    { count: 0, failed: 0 },
  )
}
