import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { eventually } from '../../harness/index.ts'
import { OwnProcess } from '../own-process.ts'
import { DemoFolder, WORKLOADS } from './own-demo.ts'
import { type Traces, tracesOf } from './traces.ts'

describe.skipIf(!inject('canRunDemo'))('the demo', () => {
  let folder: DemoFolder
  let before: Traces
  beforeAll(async () => {
    folder = await DemoFolder.make()
    before = await tracesOf(folder)
  })
  afterAll(() => folder?.remove())

  /** Whatever was there before is there, and nothing else. */
  async function expectNothingLeft(): Promise<void> {
    // The kernel takes namespaces and cables apart in its own time.
    await eventually(async () => expect(await tracesOf(folder)).toEqual(before))
  }

  test('runs once: a second one says what runs already and ends; Ctrl-C leaves nothing behind', async () => {
    const demo = folder.start()
    await demo.mesh()
    expect((await tracesOf(folder)).namespaces).toHaveLength(before.namespaces.length + WORKLOADS.length)
    const second = folder.start()
    expect(await second.ended).toBe('exit 1')
    const says = `the demo runs already: process ${demo.pid}, dashboard http://127.0.0.1:15080`
    expect(await second.output()).toContain(says)
    const once = folder.start('--once', '--json')
    expect(await once.ended).toBe('exit 1')
    expect(await once.output()).toContain(JSON.stringify(says))
    // With a state folder of its own it meets the first one's network.
    const elsewhere = await DemoFolder.make()
    const other = elsewhere.start()
    expect(await other.ended).toBe('exit 1')
    expect(await other.output()).toContain(`belongs to process ${demo.pid}`)
    await elsewhere.remove()
    // The first one has not noticed.
    const mesh = await demo.mesh()
    expect((await mesh.pod('client').get('http://middle/')).status).toBe(200)
    expect(await demo.stop('SIGINT')).toBe('exit 0')
    expect(await demo.output()).toContain('stopped, nothing is left behind')
    await expectNothingLeft()
  })

  test.each([
    'network 10.77.0.0/16',
    'control plane ready',
  ])('Ctrl-C after "%s" leaves nothing behind', async step => {
    const demo = folder.start()
    await demo.says(step)
    expect(await demo.stop('SIGINT')).toBe('exit 0')
    await expectNothingLeft()
  })

  test('that was killed: its processes go with it, and the next one clears the rest', async () => {
    const killed = folder.start()
    await killed.mesh()
    expect(await killed.stop('SIGKILL')).toBe('SIGKILL')
    await eventually(async () => expect((await tracesOf(folder)).processes).toEqual([]))
    const { namespaces, links } = await tracesOf(folder)
    expect(namespaces).toHaveLength(before.namespaces.length + WORKLOADS.length)
    expect(links.length).toBeGreaterThan(before.links.length)
    const next = folder.start()
    await next.says(`removed ${WORKLOADS.length} namespaces of an earlier run that was killed`)
    const mesh = await next.mesh()
    expect((await mesh.pod('client').get('http://middle/')).status).toBe(200)
    expect(await next.stop('SIGINT')).toBe('exit 0')
    await expectNothingLeft()
  })

  test('whose port is taken says which, and leaves nothing behind', async () => {
    const script =
      "require('node:net').createServer().listen(15080, '127.0.0.1', () => console.log('listening'))"
    const squatter = new OwnProcess([process.execPath, '-e', script], join(folder.path, 'squatter.log'))
    await eventually(async () => expect(await squatter.output()).toContain('listening'))
    const demo = folder.start()
    expect(await demo.ended).toBe('exit 1')
    expect(await demo.output()).toMatch(
      /demo: seined: can't listen on 127\.0\.0\.1:15080 \(the dashboard and its API\): another program uses that port; stop it .+--hub-port/,
    )
    await squatter.stop()
    await expectNothingLeft()
  })
})
