import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createLogger, errorMessage, systemClock } from '@seine/kit'
import { Command } from 'commander'
import { Demo } from './demo.ts'
import { readKeys } from './keys.ts'
import { DASHBOARD, defaultStateFolder } from './paths.ts'
import { findFooting, INSIDE_VARIABLE } from './privileges.ts'
import { Progress } from './progress.ts'
import { runInside, settleInside } from './reexec.ts'
import { takeLock } from './runtime/lock.ts'
import { self } from './runtime/owner.ts'
import { watchedFolders } from './watched-folders.ts'

interface Flags {
  readonly once?: boolean
  readonly json?: boolean
  readonly state: string
  readonly app?: string
  readonly config?: string
  readonly timeout: string
  readonly apart?: boolean
  readonly workloadCertTtl?: string
}

const program = new Command('demo')
  .description(
    'Starts a whole mesh on this machine: control plane, an application of eleven workloads with sidecars, an ingress, traffic',
  )
  .option('--once', 'stop as soon as every call is green; exit 0 only if it was')
  .option('--json', 'with --once: print one JSON object on stdout')
  .option('--state <dir>', 'where to keep state', defaultStateFolder())
  .option('--app <dir>', "folder of Kubernetes manifests to run (default: a copy of the demo's own)")
  .option('--config <dir>', "folder of mesh configuration (default: a copy of the demo's own)")
  .option('--timeout <seconds>', 'how long to wait for green', '120')
  .option('--apart', 'run citadel, pilot, mixer and hub as four processes')
  .option('--workload-cert-ttl <duration>', "the longest life of a workload's certificate, such as 10m")
  .parse()

// The clock's timers do not keep a process alive; until `main` is done, this does.
setInterval(() => undefined, 1 << 30)
process.exitCode = await main(program.opts<Flags>()).catch((failure: unknown) => {
  process.stderr.write(`demo: ${errorMessage(failure)}\n`)
  return 1
})
// Keys and sockets of a terminal may still be open; all that was started has been stopped.
process.exit()

async function main(flags: Flags): Promise<number> {
  const stateFolder = resolve(flags.state)
  const inside = process.env[INSIDE_VARIABLE]
  if (inside === undefined) {
    const footing = await findFooting()
    if (footing.kind === 'none') return notStarted(flags, footing.missing)
    if (footing.kind === 'user-namespace') return runInside(footing, stateFolder)
  }
  await mkdir(stateFolder, { recursive: true })
  const lock = await takeLock(join(stateFolder, 'demo.lock'), { ...self(), dashboard: DASHBOARD })
  if (!lock.ok) {
    const running = `the demo runs already: process ${lock.error.pid}, dashboard ${lock.error.dashboard}`
    return notStarted(flags, [running])
  }
  try {
    if (inside !== undefined) {
      const failures = await settleInside(stateFolder)
      if (failures.length > 0) return notStarted(flags, failures)
    }
    return await runDemo(flags, stateFolder, inside !== 'one')
  } finally {
    await lock.value()
  }
}

async function runDemo(flags: Flags, stateFolder: string, changeUser: boolean): Promise<number> {
  const progress = new Progress(systemClock, line => process.stderr.write(line))
  const log = createLogger('demo')
  const folders = await watchedFolders(flags, stateFolder)
  const { apart = false, workloadCertTtl: certTtl } = flags
  const demo = new Demo({
    ...{ stateFolder, ...folders, apart, certTtl, changeUser },
    ...{ clock: systemClock, log, progress },
  })
  const keys = readKeys({
    faster: () => void demo.askTraffic('/rate/up', 'POST').then(answer => progress.say(rateOf(answer))),
    slower: () => void demo.askTraffic('/rate/down', 'POST').then(answer => progress.say(rateOf(answer))),
  })
  let code = 1
  try {
    const run = flags.once ? runOnce(demo, flags) : runOn(demo, flags, progress)
    code = await Promise.race([run, keys.stopped.then(() => (flags.once ? 1 : 0))])
  } finally {
    keys.close()
    progress.say('stopping')
    const leftovers = await demo.stop()
    for (const leftover of leftovers) progress.say(`could not remove: ${leftover}`)
    if (leftovers.length > 0) code = 1
    progress.say('stopped, nothing is left behind but state and logs in the state folder')
  }
  return code
}

function rateOf(answer: Awaited<ReturnType<Demo['askTraffic']>>): string {
  return answer.ok
    ? `traffic: ${answer.value.rate} requests a second (${answer.value.total} so far, ${answer.value.failed} failed)`
    : answer.error
}

/** Starts, waits for green, reports. */
async function runOnce(demo: Demo, flags: Flags): Promise<number> {
  const timeoutMs = Number(flags.timeout) * 1_000
  const started = await demo.start(timeoutMs)
  if (!started.ok) return notStarted(flags, [started.error])
  const report = await demo.untilGreen(timeoutMs)
  if (flags.json) process.stdout.write(`${JSON.stringify(report)}\n`)
  else for (const reason of report.reasons ?? ['green']) process.stderr.write(`${reason}\n`)
  return report.green ? 0 : 1
}

function notStarted(flags: Flags, reasons: readonly string[]): number {
  for (const reason of reasons) process.stderr.write(`demo: ${reason}\n`)
  const report = { green: false, seconds: 0, workloads: [], requests: { total: 0, failed: 0 }, reasons }
  if (flags.json) process.stdout.write(`${JSON.stringify(report)}\n`)
  return 1
}

/** Starts, waits for green, and goes on until it is told to stop. */
async function runOn(demo: Demo, flags: Flags, progress: Progress): Promise<number> {
  const timeoutMs = Number(flags.timeout) * 1_000
  const started = await demo.start(timeoutMs)
  if (!started.ok) {
    process.stderr.write(`demo: ${started.error}\n`)
    return 1
  }
  if (demo.hasTraffic) {
    const report = await demo.untilGreen(timeoutMs)
    if (report.green) progress.say(`all ${report.workloads.length} workloads green: every call by mutual TLS`)
    else for (const reason of report.reasons ?? []) progress.say(`not green: ${reason}`)
  } else progress.say('the application has no traffic generator: no calls to judge')
  for (const address of demo.ingresses) progress.say(`the page, through the ingress: ${address}`)
  progress.say(`configuration in ${demo.config}: edit it, or use npx seinectl apply`)
  progress.say(`dashboard ${DASHBOARD}   (+ more traffic, - less, Ctrl-C stops)`)
  return new Promise<number>(() => undefined)
}
