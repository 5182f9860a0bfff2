import { keyOf } from '@seine/api'
import { ConfigStore } from '../config/config-store.ts'
import type { Folders } from '../config/folders.ts'
import type { InputObject } from '../config/input.ts'
import { keyOfResource, qualifiedName } from '../config/names.ts'
import { serverUrl } from '../hub/client.ts'
import { textAt } from '../hub/json.ts'
import { listProxies, matchProxies } from '../hub/proxies.ts'
import { printError, printWarning } from '../output/message.ts'
import { styled } from '../output/style.ts'
import { ExitCode, type Terminal } from '../terminal.ts'
import { type Limits, percentOf, type Verdict, verdictOf } from './verdict.ts'
import { removalFor, versionFor, whyNot } from './versions.ts'
import { CanaryWatch } from './watch.ts'

/** What `apply --canary` and `delete --canary` are told. */
export interface CanaryFlags {
  readonly server?: string
  readonly canary?: readonly string[]
  readonly canaryDuration: number
  readonly canaryMaxErrors: number
  /** Percent; undefined where latency does not count. */
  readonly canaryMaxLatency: number | undefined
  readonly canaryMinRequests: number
}

/** A change that some workloads get first. */
export interface CanaryChange {
  readonly objects: readonly InputObject[]
  /** Whether they are to be gone, and not as they are given here. */
  readonly removes: boolean
}

const LOOK_MS = 1000
/** How often it is told how things stand. */
const TELL_MS = 5000

/**
 * Gives objects to the proxies of some workloads first, or takes them from those, watches what these reject, what their
 * calls come to and how long they take, and then does it for all, or takes it back. Whatever ends it, nothing half done is left.
 */
export async function changeByCanary(
  terminal: Terminal,
  flags: CanaryFlags,
  { objects, removes }: CanaryChange,
  { own, world, complete }: Folders,
): Promise<ExitCode> {
  const fail = (message: string): ExitCode => {
    printError(terminal, message)
    return ExitCode.failed
  }
  if (!complete)
    return fail(
      'a canary needs a running mesh that reads the configuration folder: see --server and --config',
    )
  const workloads = await workloadsOf(terminal, flags)
  if (typeof workloads === 'string') return fail(workloads)
  const reason = whyNot(objects, workloads, (await ConfigStore.open(world)).resources())
  if (reason !== undefined) return fail(reason)
  const watch = await CanaryWatch.begin(terminal, flags.server, workloads)
  const versions = objects.map(object => (removes ? removalFor : versionFor)(object, workloads))
  const interrupt = interruption(terminal)
  try {
    await write(own, versions, [])
    terminal.out(
      `${objects.map(({ resource }) => qualifiedName(resource)).join(', ')}: ${removes ? 'gone for' : 'to'} ${workloads.join(', ')} first\n`,
    )
    const verdict = await decide(terminal, watch, versions, limitsOf(flags), interrupt.signal)
    if (verdict.action === 'promote') {
      // All get it before the canary goes, so that it is in force for its workloads at all times.
      await write(own, removes ? [] : objects, removes ? objects : [])
      await write(own, [], versions)
      terminal.out(`${styled('promoted', 'green', terminal.colour.out)}: ${verdict.why}\n`)
      for (const { resource } of objects)
        terminal.out(`${qualifiedName(resource)} ${removes ? 'deleted' : 'configured'} for all\n`)
      return ExitCode.ok
    }
    await write(own, [], versions)
    terminal.out(`${styled('taken back', 'red', terminal.colour.out)}: ${verdict.why}\n`)
    return interrupt.signal.aborted ? ExitCode.interrupted : ExitCode.failed
  } catch (failure) {
    await write(own, [], versions)
    printWarning(terminal, 'taken back, for it could not be watched')
    throw failure
  } finally {
    interrupt.end()
  }
}

function limitsOf(flags: CanaryFlags): Limits {
  const { canaryDuration, canaryMaxErrors, canaryMaxLatency, canaryMinRequests } = flags
  return {
    durationMs: canaryDuration,
    maxMoreErrors: canaryMaxErrors / 100,
    maxSlower: canaryMaxLatency === undefined ? undefined : canaryMaxLatency / 100,
    minCalls: canaryMinRequests,
  }
}

/** The workloads that are meant, as `name.namespace`, or what is wrong. */
async function workloadsOf(terminal: Terminal, flags: CanaryFlags): Promise<string[] | string> {
  const server = serverUrl(flags.server, terminal)
  const listed = await listProxies(server)
  if (!listed.ok) return listed.error
  const found = new Set<string>()
  for (const word of flags.canary ?? []) {
    const matching = matchProxies(listed.value, word)
    if (matching.length === 0) return `no proxy of "${word}" is connected to ${server}`
    const names = new Set(matching.map(({ workload, namespace }) => `${workload}.${namespace}`))
    if (names.size > 1) return `"${word}" is ${[...names].sort().join(' and ')}: say which`
    for (const name of names) found.add(name)
  }
  return [...found].sort()
}

/** Puts objects into the folder and removes others, at once. */
async function write(
  folders: readonly string[],
  put: readonly InputObject[],
  removed: readonly InputObject[],
): Promise<void> {
  const store = await ConfigStore.open(folders)
  for (const { resource, text } of put) store.put(resource, text)
  for (const { resource } of removed) store.remove(keyOfResource(resource))
  await store.save()
}

/** Looks until it is decided; an interruption is a decision. */
async function decide(
  terminal: Terminal,
  watch: CanaryWatch,
  versions: readonly InputObject[],
  limits: Limits,
  interrupted: AbortSignal,
): Promise<Exclude<Verdict, { action: 'wait' }>> {
  const keys = new Set(versions.map(({ resource }) => keyOfResource(resource)))
  const startedAt = Date.now()
  let inForceAt: number | undefined
  let toldAt = startedAt
  for (;;) {
    const [problems, rejections] = [await watch.problems(), await watch.rejections()]
    if (inForceAt === undefined && (await watch.isInForce(keys, keyOfRow))) {
      inForceAt = Date.now()
      terminal.out('in force\n')
    }
    const during = inForceAt === undefined ? { count: 0, failed: 0 } : await watch.calls()
    const now = Date.now()
    const inForceMs = inForceAt === undefined ? undefined : now - inForceAt
    const elapsedMs = now - startedAt
    const verdict = verdictOf(
      { inForceMs, elapsedMs, problems, rejections, before: watch.before, during },
      limits,
    )
    if (verdict.action !== 'wait') return verdict
    if (interrupted.aborted) return { action: 'take-back', why: 'it was interrupted' }
    if (inForceMs !== undefined && now - toldAt >= TELL_MS) {
      toldAt = now
      terminal.out(
        `${Math.round(inForceMs / 1000)}s of ${limits.durationMs / 1000}s: ${Math.round(during.count)} calls, ${percentOf(during)} failed (before: ${percentOf(watch.before)})\n`,
      )
    }
    await pause(LOOK_MS, interrupted)
  }
}

function keyOfRow(row: unknown): string {
  const group = textAt(row, 'group')
  return keyOf({
    kind: textAt(row, 'kind'),
    namespace: textAt(row, 'namespace'),
    name: textAt(row, 'name'),
    ...(group === '' ? {} : { group }),
    canary: true,
  })
}

/** Until the time is over, or it is interrupted. */
async function pause(ms: number, interrupted: AbortSignal): Promise<void> {
  if (interrupted.aborted) return
  await new Promise<void>(resolve => {
    const end = () => {
      clearTimeout(timer)
      interrupted.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    interrupted.addEventListener('abort', end)
  })
}

function interruption(terminal: Terminal): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController()
  const end = terminal.onInterrupt(() => controller.abort())
  return { signal: controller.signal, end }
}
