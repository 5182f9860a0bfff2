import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMetrics, FakeClock, type Registry, silentLogger } from '@seine/kit'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { EnvoyProcess } from './envoy-process.ts'

/** Its own: processes of other tests may still be ending. */
const logger = silentLogger.child({})

let folder: string
let clock: FakeClock
let metrics: Registry
let envoy: EnvoyProcess
let admin: Server
let adminCalls: string[]
/** How many connections there are, and what is done with those at the end. */
let connections: number
let idleAfterMs: number | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seine-envoy-process-'))
  clock = new FakeClock(1_000_000)
  metrics = createMetrics()
  adminCalls = []
  connections = 0
  idleAfterMs = undefined
  admin = createServer((request, response) => {
    adminCalls.push(`${request.method} ${request.url}`)
    response.writeHead(200).end(`server.total_connections: ${connections}\n`)
  })
  await new Promise<void>(resolve => admin.listen(0, '127.0.0.1', resolve))
})

afterEach(async () => {
  await crash()
  await new Promise(resolve => admin.close(resolve))
  await rm(folder, { recursive: true })
  vi.restoreAllMocks()
})

/** A program in Envoy's place: these are about what is done with any program, not about Envoy. */
async function program(script: string, trap = ''): Promise<EnvoyProcess> {
  const path = join(folder, 'program')
  const lines = ['#!/bin/sh', `echo $$ > ${folder}/pid`, trap, `echo x >> ${folder}/starts`, script]
  await writeFile(path, `${lines.join('\n')}\n`)
  await chmod(path, 0o755)
  return processOf(path)
}

function processOf(path: string): EnvoyProcess {
  return new EnvoyProcess({
    path,
    bootstrapFile: join(folder, 'bootstrap.json'),
    concurrency: 2,
    adminPort: (admin.address() as AddressInfo).port,
    drainMs: 5000,
    idleAfterMs,
    listenerDrainS: 7,
    logFlushMs: 500,
    logFlushKib: 16,
    logLevel: 'debug',
    componentLogLevel: 'http:trace',
    clock,
    logger,
    metrics,
  })
}

/** Waits until the program has ended and is to be started again. @returns in how many ms that is. */
function restart(): Promise<number> {
  return vi.waitFor(
    () => {
      const [pause] = clock.pending
      if (pause === undefined) throw new Error('no restart is planned')
      return pause
    },
    { interval: 2, timeout: 20_000 },
  )
}

async function starts(): Promise<number> {
  const text = await readFile(join(folder, 'starts'), 'utf8').catch(() => '')
  return text.split('\n').length - 1
}

function started(times: number): Promise<void> {
  return vi.waitFor(async () => expect(await starts()).toBe(times), { interval: 2, timeout: 20_000 })
}

/** Ends the program as a crash would, if it runs. */
async function crash(): Promise<void> {
  const pid = Number(await readFile(join(folder, 'pid'), 'utf8').catch(() => '0'))
  if (pid === 0) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== 'ESRCH') throw failure
  }
}

const FOR_EVER = 'while :; do sleep 0.02; done'

describe('a program', () => {
  it('is started as it is to be', async () => {
    envoy = await program(`echo "$@" > ${folder}/arguments; ${FOR_EVER}`)
    envoy.start()
    await started(1)
    const words = () => readFile(join(folder, 'arguments'), 'utf8')
    await vi.waitFor(async () => expect(await words()).not.toBe(''), { interval: 2, timeout: 20_000 })
    expect(await words()).toContain(
      '--concurrency 2 --disable-hot-restart --drain-time-s 7 --drain-strategy immediate',
    )
    expect(await words()).toContain('--file-flush-interval-msec 500 --file-flush-min-size-kb 16 ')
    expect(await words()).toContain('-l debug --component-log-level http:trace')
    // Its end is told as an error, which is to be this test's.
    await crash()
    await restart()
  })
})

describe('a program that ends', () => {
  it('is started again with growing pauses, and what it said is in the log', async () => {
    const error = vi.spyOn(logger, 'error')
    envoy = await program('echo "bad bootstrap" >&2; exit 7')
    envoy.start()
    const pauses: number[] = []
    for (let at = 0; at < 7; at++) {
      pauses.push(await restart())
      clock.advance(pauses[at] ?? 0)
    }
    await restart()
    await envoy.stop()
    expect(pauses).toEqual([400, 800, 1600, 3200, 6400, 10_000, 10_000])
    expect(error.mock.calls[0]).toEqual([
      { code: 7, signal: null, lastLines: ['bad bootstrap'], restartInMs: 400 },
      'envoy ended unexpectedly: starting it again',
    ])
    expect(await metrics.metrics()).toContain('seine_agent_envoy_restarts_total{ending="exit code 7"} 8')
  })

  it('is started again soon when it had run for a while', async () => {
    envoy = await program(`[ $(wc -l < ${folder}/starts) -eq 3 ] && ${FOR_EVER}; exit 1`)
    envoy.start()
    clock.advance(await restart())
    clock.advance(await restart())
    await started(3)
    clock.advance(30_001)
    await crash()
    expect(await restart()).toBe(200)
    await envoy.stop()
  })

  it('is not started again once it is to stop', async () => {
    envoy = await program('exit 1')
    envoy.start()
    await restart()
    await envoy.stop()
    expect(clock.pending).toEqual([])
  })

  it('that can not be started at all is said so, and tried again', async () => {
    const error = vi.spyOn(logger, 'error')
    envoy = processOf(join(folder, 'missing'))
    envoy.start()
    expect(await restart()).toBe(400)
    expect(error.mock.calls[0]).toEqual([
      { err: expect.objectContaining({ code: 'ENOENT' }), path: join(folder, 'missing') },
      'envoy does not start',
    ])
    await envoy.stop()
  })
})

describe('stop', () => {
  it('drains first, then ends the program', async () => {
    envoy = await program(FOR_EVER, `trap 'echo term > ${folder}/end; exit 0' TERM`)
    envoy.start()
    await started(1)
    const stopped = envoy.stop()
    await vi.waitFor(() => expect(clock.pending).toEqual([5000]), { interval: 2, timeout: 20_000 })
    expect(adminCalls).toEqual(['POST /drain_listeners?graceful'])
    clock.advance(4999)
    await expect(readFile(join(folder, 'end'))).rejects.toMatchObject({ code: 'ENOENT' })
    clock.advance(1)
    await stopped
    expect(await readFile(join(folder, 'end'), 'utf8')).toBe('term\n')
  })

  it('is let to end its connections for as long as they take where it is told so', async () => {
    idleAfterMs = 5000
    envoy = await program(FOR_EVER, `trap 'echo term > ${folder}/end; exit 0' TERM`)
    envoy.start()
    await started(1)
    connections = 1
    const stopped = envoy.stop()
    const waits = (ms: number) =>
      vi.waitFor(() => expect(clock.pending).toEqual([ms]), { interval: 2, timeout: 20_000 })
    await waits(5000)
    clock.advance(5000)
    for (let times = 0; times < 3; times++) {
      await waits(1000)
      if (times === 2) connections = 0
      clock.advance(1000)
    }
    await stopped
    expect(await readFile(join(folder, 'end'), 'utf8')).toBe('term\n')
    expect(adminCalls.filter(call => call.includes('total_connections'))).toHaveLength(4)
  })

  it('does not wait for the drain time when the program is gone before', async () => {
    envoy = await program(FOR_EVER)
    envoy.start()
    await started(1)
    const stopped = envoy.stop()
    await vi.waitFor(() => expect(clock.pending).toEqual([5000]), { interval: 2, timeout: 20_000 })
    await crash()
    await stopped
    expect(await metrics.metrics()).not.toContain('seine_agent_envoy_restarts_total{')
  })

  it('kills a program that does not heed it', async () => {
    envoy = await program(FOR_EVER, "trap '' TERM")
    envoy.start()
    await started(1)
    const stopped = envoy.stop()
    await vi.waitFor(() => expect(clock.pending).toEqual([5000]), { interval: 2, timeout: 20_000 })
    clock.advance(5000)
    await vi.waitFor(() => expect(clock.pending).toEqual([3000]), { interval: 2, timeout: 20_000 })
    clock.advance(3000)
    await stopped
  })
})
