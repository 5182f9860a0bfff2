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
  /** From when on rounds of figures count, by the hub's clock; known once the change is in force. */
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
    const before = await callsOf(server, workloads, now - BASELINE_MS)
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
    this.#since ??= await this.#firstRound()
    return callsOf(this.#server, this.#workloads, this.#since)
  }

  /**
   * When rounds of figures begin that hold no calls of before. The newest may be under way, and those that begin with it, give
   * or take what times are rounded by, do not count.
   */
  async #firstRound(): Promise<number> {
    const scrape = at(await get(this.#server, '/api/v1/version'), 'scrape')
    return Number(at(scrape, 'begunAt') ?? Date.now()) + Number(at(scrape, 'intervalMs') ?? 0) / 2
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

/** What the workloads' calls came to in the rounds of figures that began at a time, ms, or later. */
async function callsOf(server: string, workloads: readonly string[], since: number): Promise<Calls> {
  const query = new URLSearchParams({ since: String(Math.round(since)) })
  for (const workload of workloads) {
    const dot = workload.lastIndexOf('.')
    query.append('party', `${workload.slice(dot + 1)}/${workload.slice(0, dot)}`)
  }
  const figures = await get(server, `/api/v1/calls?${query}`)
  const p99 = at(figures, 'p99')
  return {
    count: Number(at(figures, 'calls') ?? 0),
    failed: Number(at(figures, 'failed') ?? 0),
    p99: typeof p99 === 'number' ? p99 : undefined,
  }
}
