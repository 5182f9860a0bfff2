import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import {
  type Answer,
  describeMesh,
  destinationRule,
  documents,
  eventually,
  ROOT,
  SEINECTL,
  serviceEntry,
  to,
  virtualService,
} from '../harness/index.ts'
import { SteadyLoad } from '../resilience/steady-load.ts'

/** What a canary showed while it was under way. */
interface Seen {
  readonly code: number | null
  readonly output: string
  /** `status version` of the answers that the canary's workload and another one got. */
  readonly canary: ReadonlySet<string>
  readonly other: ReadonlySet<string>
}

describeMesh('a change for some proxies first', mesh => {
  const words = ({ status, echo }: Answer) => `${status} ${echo?.version ?? 'none'}`
  const own = () => mesh().pod('client').workload
  const call = async (pod: string) => (await mesh().pod(pod).http('http://echo/', { count: 5 })).map(words)
  const files = async () =>
    (await readdir(mesh().place.configFolder)).filter(
      name => name.includes('canary') || name.includes('-echo'),
    )

  /** What is written for all. */
  const baseText = () => readFile(join(mesh().place.configFolder, 'routes.yaml'), 'utf8')

  function start(
    command: readonly string[],
    yaml: string,
    ...flags: readonly string[]
  ): { child: ChildProcess; output: () => string } {
    const [program = '', ...words] = SEINECTL
    const args = [...words, ...command, '--canary', own(), ...flags, '--config', mesh().place.configFolder]
    const child = spawn(program, args, { cwd: ROOT })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', chunk => {
        output += String(chunk)
      })
    child.stdin.end(yaml)
    return { child, output: () => output }
  }

  /** Applies a change to the client first while both it and another workload call; `during` may intervene. */
  async function canary(
    yaml: string,
    during?: (child: ChildProcess, output: string) => void,
    command: readonly string[] = ['apply', '-f', '-'],
  ): Promise<Seen> {
    const seen = { canary: new Set<string>(), other: new Set<string>() }
    const { child, output } = start(command, yaml, '--canary-duration', '20s', '--canary-max-errors', '10')
    const ended = once(child, 'close') as Promise<[number | null]>
    let isOver = false
    void ended.then(() => {
      isOver = true
    })
    const base = await baseText()
    while (!isOver) {
      const wasInForce = output().includes('in force')
      const [firsts, others] = [await call('client'), await call('front')]
      // What was asked before the change is written for all, or taken back, tells; seinectl says so a little later.
      if ((await baseText()) !== base) break
      for (const one of others) seen.other.add(one)
      if ((await files()).length === 0) continue
      if (wasInForce) for (const one of firsts) seen.canary.add(one)
      during?.(child, output())
    }
    const [code] = await ended
    return { code, output: output(), ...seen }
  }

  beforeAll(async () => {
    await mesh().apply(
      'routes',
      documents(destinationRule('echo'), virtualService('echo', [{ route: [to('echo', 'v1')] }])),
    )
  })

  test('that does well is promoted', async () => {
    const seen = await canary(virtualService('echo', [{ route: [to('echo', 'v2')] }]))
    expect(seen.output).toContain('promoted')
    expect(seen.code).toBe(0)
    expect([...seen.canary]).toEqual(['200 v2'])
    expect([...seen.other]).toEqual(['200 v1'])
    await mesh().settled()
    expect(new Set(await call('front'))).toEqual(new Set(['200 v2']))
    expect(new Set(await call('client'))).toEqual(new Set(['200 v2']))
    expect(await files()).toEqual([])
  })

  test('whose requests fail is taken back, before its time is over', async () => {
    const abort = { abort: { httpStatus: 503, percentage: { value: 100 } } }
    const seen = await canary(virtualService('echo', [{ fault: abort, route: [to('echo', 'v1')] }]))
    // What failed in the tests before this one may still count among what was before.
    expect(seen.output).toMatch(/taken back: \d+(\.\d)?% of \d+ calls failed, before \d(\.\d)?%/)
    expect(seen.code).toBe(1)
    expect([...seen.canary]).toEqual(['503 none'])
    expect([...seen.other]).toEqual(['200 v2'])
    await mesh().settled()
    expect(new Set(await call('client'))).toEqual(new Set(['200 v2']))
    expect(await files()).toEqual([])
  })

  test('whose requests are slower is taken back, before its time is over', async () => {
    const load = new SteadyLoad('the canary', () =>
      mesh().pod('client').http('http://echo/', { count: 20, concurrency: 20 }),
    )
    // What latency is told from are calls of the minute before, too.
    await eventually(
      async () => {
        const query = `party=shop/${own()}&since=${Date.now() - 60_000}`
        const { calls } = await mesh().hub.get<{ calls: number }>(`/calls?${query}`)
        expect(calls).toBeGreaterThan(150)
      },
      { timeoutMs: 60_000 },
    )
    const delay = { delay: { fixedDelay: '0.4s', percentage: { value: 100 } } }
    const seen = await canary(virtualService('echo', [{ fault: delay, route: [to('echo', 'v2')] }]))
    expect((await load.stop()).failures).toEqual([])
    expect(seen.output).toMatch(/taken back: 99% of \d+ calls took up to \d+ms, before/)
    expect(seen.code).toBe(1)
    expect([...seen.other]).toEqual(['200 v2'])
    await mesh().settled()
    expect(await files()).toEqual([])
  })

  test('that takes something away is given up where it is missed, and carried out where it is not', async () => {
    const remove = (kind: string) => ['delete', kind, 'echo', '-n', 'shop']
    // The route to a subset needs the rule that defines it.
    const needed = await canary('', undefined, remove('destinationrule'))
    expect(needed.output).toContain('subset-in-use')
    expect(needed.code).toBe(1)
    expect([...needed.other]).toEqual(['200 v2'])
    const seen = await canary('', undefined, remove('virtualservice'))
    expect(seen.output).toContain('virtualservice.networking.istio.io/echo deleted for all')
    expect(seen.code).toBe(0)
    // Without the route all versions answer.
    expect(seen.canary.size).toBeGreaterThan(1)
    expect([...seen.other]).toEqual(['200 v2'])
    await eventually(async () => expect(new Set(await call('front')).size).toBeGreaterThan(1))
    expect(await files()).toEqual([])
    await mesh().apply(
      'routes',
      documents(destinationRule('echo'), virtualService('echo', [{ route: [to('echo', 'v2')] }])),
    )
  })

  test('that leads to an endpoint where nothing listens is taken back', async () => {
    const dead = serviceEntry('dead', {
      hosts: ['dead.example'],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
      resolution: 'STATIC',
      location: 'MESH_EXTERNAL',
      endpoints: [{ address: '10.77.255.254' }],
    })
    const routed = virtualService('echo', [{ route: [{ destination: { host: 'dead.example' } }] }])
    const seen = await canary(documents(dead, routed))
    expect(seen.output).toContain('taken back')
    expect(seen.code).toBe(1)
    expect([...seen.other]).toEqual(['200 v2'])
    expect(new Set(await call('client'))).toEqual(new Set(['200 v2']))
  })

  test('that Envoy rejects is taken back', async () => {
    const file = '/etc/ssl/no-such-file.pem'
    const rejected = destinationRule('middle', {
      trafficPolicy: { tls: { mode: 'SIMPLE', caCertificates: file } },
    })
    await mesh().pod('client').get('http://middle/')
    const seen = await canary(rejected)
    expect(seen.output).toMatch(/taken back: Envoy of client-.* rejected CDS/)
    expect(seen.output).toContain(file)
    expect(seen.code).toBe(1)
    expect([...seen.other]).toEqual(['200 v2'])
    const proxies =
      await mesh().hub.get<{ workload: string; types: Record<string, { state: string }> }[]>('/proxies')
    for (const { workload, types } of proxies)
      if (workload !== own())
        for (const { state } of Object.values(types)) expect([workload, state]).not.toContain('NACKED')
    await mesh().settled()
    expect((await mesh().pod('client').get('http://middle/')).status).toBe(200)
  })

  test('is taken back by Ctrl-C', async () => {
    let interrupted = false
    const seen = await canary(virtualService('echo', [{ route: [to('echo', 'v3')] }]), (child, output) => {
      if (interrupted || !output.includes('in force')) return
      interrupted = child.kill('SIGINT')
    })
    expect(interrupted).toBe(true)
    expect(seen.output).toContain('taken back: it was interrupted')
    expect(seen.code).toBe(130)
    expect([...seen.other]).toEqual(['200 v2'])
    await mesh().settled()
    expect(new Set(await call('client'))).toEqual(new Set(['200 v2']))
    expect(await files()).toEqual([])
  })
})
