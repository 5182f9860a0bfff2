import { chmod, chown, copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { envoyPath } from '@seine/testing/unit'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { ROOT, run } from '../../harness/index.ts'
import { OwnProcess } from '../own-process.ts'

/** A user without any rights: nobody. */
const USER = 65534
const AS_USER = [
  'setpriv',
  '--reuid',
  `${USER}`,
  '--regid',
  `${USER}`,
  '--clear-groups',
  '--no-new-privs',
  '--',
]
const DEMO = join(ROOT, 'demo', 'dist', 'main.js')

interface Report {
  readonly green: boolean
  readonly workloads: readonly { readonly name: string; readonly mtls: boolean }[]
  readonly reasons?: readonly string[]
}

/** Why a user without rights can't run this checkout here, whatever the demo does. */
async function whyNot(): Promise<string | undefined> {
  const readable = await run([...AS_USER, process.execPath, DEMO, '--help'])
  if (readable.code !== 0) return `other users can't read ${ROOT}`
  const own = await run([...AS_USER, 'unshare', '--user', '--map-root-user', '--net', 'true'])
  return own.code === 0 ? undefined : `users can't make user namespaces here: ${own.stderr.trim()}`
}

describe.skipIf(!inject('canRunDemo'))('the demo without rights', () => {
  let home: string
  let env: Record<string, string>
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'seine-home-'))
    const envoy = join(home, 'envoy')
    await copyFile(await envoyPath(), envoy)
    await chmod(envoy, 0o755)
    await chown(home, USER, USER)
    env = { HOME: home, SEINE_ENVOY: envoy }
  })
  afterAll(() => rm(home, { recursive: true, force: true }))

  /** Runs the demo until it is green or gives up. */
  async function once(...before: readonly string[]): Promise<{ ending: string; report: Report }> {
    const program = [process.execPath, DEMO, '--once', '--json', '--state', join(home, 'state')]
    const demo = new OwnProcess([...before, ...program], join(home, 'demo.log'), env)
    const ending = await demo.ended
    const last = (await demo.output()).split('\n').findLast(line => line.startsWith('{"green"'))
    if (last === undefined) throw new Error(`no report:\n${await demo.output()}`)
    return { ending, report: JSON.parse(last) as Report }
  }

  test('turns green in a user namespace of its own', async context => {
    const reason = await whyNot()
    if (reason !== undefined) {
      console.log(`skipped: ${reason}`)
      context.skip(reason)
    }
    const { ending, report } = await once(...AS_USER)
    expect({ ending, reasons: report.reasons, green: report.green }).toEqual({
      ending: 'exit 0',
      green: true,
    })
    expect(report.workloads.filter(({ mtls }) => !mtls)).toEqual([])
    expect((await run(['ip', 'link', 'show', 'dev', 'seine0'])).code).not.toBe(0)
  })

  test('where users may make no namespaces says what an administrator has to do', async () => {
    // Without any capability, in a user namespace that allows no further ones.
    const forbid =
      'echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all -- "$@"'
    const { ending, report } = await once(
      'unshare',
      '--user',
      '--map-root-user',
      '--',
      'sh',
      '-c',
      forbid,
      'sh',
    )
    expect({ ending, green: report.green }).toEqual({ ending: 'exit 1', green: false })
    expect(report.reasons).toContain(
      '/proc/sys/user/max_user_namespaces is 0: an administrator runs `sysctl -w user.max_user_namespaces=15000`',
    )
  })
})
