import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeMesh, eventually, type Mesh, seinectl } from '../harness/index.ts'
import { destinationRule, documents, serviceEntry, to, virtualService } from '../harness/resources.ts'
import { controlPlaneLog } from './logs.ts'

/** All requests for echo to one version. */
const good = (version: string) =>
  documents(destinationRule('echo'), virtualService('echo', [{ route: [to('echo', version)] }]))

/** A mistake, and where a person is to be shown it. */
interface Mistake {
  readonly title: string
  readonly text: string
  readonly code: string
  /** The text on the line that is to be named. */
  readonly at: string
  readonly path?: string
  readonly says: RegExp
}

const withRoutes = (text: string) => documents(destinationRule('echo'), text)

const MISTAKES: readonly Mistake[] = [
  {
    title: 'YAML that does not parse',
    text: withRoutes(virtualService('echo', []).replace('http: []', 'http: [{route: ]')),
    code: 'yaml-syntax',
    at: 'http: [{route: ]',
    says: /flow|map|bracket|\]/i,
  },
  {
    title: 'an unknown field',
    text: withRoutes(virtualService('echo', [{ rout: [to('echo', 'v2')] }])),
    code: 'IST0106',
    at: 'rout:',
    path: 'spec.http[0].rout',
    says: /there is no field "rout" here: did you mean "route"\?/,
  },
  {
    title: 'an unknown kind',
    text: withRoutes(virtualService('echo', []).replace('VirtualService', 'VirtualServcie')),
    code: 'unknown-kind',
    at: 'kind: VirtualServcie',
    path: 'kind',
    says: /there is no kind VirtualServcie: did you mean VirtualService\?/,
  },
  {
    title: 'a route to a host that does not exist',
    text: withRoutes(virtualService('echo', [{ route: [to('nowhere')] }])),
    code: 'IST0101',
    at: 'host: nowhere',
    path: 'spec.http[0].route[0].destination.host',
    says: /no service has the host nowhere\.shop\.svc\.cluster\.local/,
  },
  {
    title: 'a route to a subset that does not exist',
    text: withRoutes(virtualService('echo', [{ route: [to('echo', 'v9')] }])),
    code: 'IST0101',
    at: 'subset: v9',
    path: 'spec.http[0].route[0].destination.subset',
    says: /no DestinationRule for echo\.shop\.svc\.cluster\.local defines the subset v9/,
  },
]

/** Objects that collide with those that are there, in a file of their own. */
const COLLISIONS: readonly Mistake[] = [
  {
    title: 'a second object of the same name',
    text: virtualService('echo', [{ route: [to('echo', 'v2')] }]),
    code: 'duplicate-resource',
    at: 'apiVersion',
    says: /VirtualService shop\/echo is already there at .+versions\.yaml:/,
  },
  {
    title: 'a second virtual service for a host',
    text: virtualService('echo', [{ route: [to('echo', 'v2')] }]).replace('name: echo', 'name: again'),
    code: 'IST0109',
    at: '- echo',
    path: 'spec.hosts[0]',
    says: /VirtualService shop\/echo decides for echo\.shop\.svc\.cluster\.local already/,
  },
  {
    title: 'an entry for the host of a service',
    text: serviceEntry('thief', {
      hosts: ['echo.shop.svc.cluster.local'],
      resolution: 'STATIC',
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
      endpoints: [{ address: '192.0.2.1' }],
    }),
    code: 'host-collision',
    at: 'hosts:',
    path: 'spec.hosts',
    says: /echo\.shop\.svc\.cluster\.local is already the host of Service shop\/echo/,
  },
]

/** Counted from 1. */
function lineOf(text: string, part: string): number {
  return text.split('\n').findIndex(line => line.includes(part)) + 1
}

/** What can't be used of the configuration, whatever sidecars and analysis have to say. */
async function inFiles(mesh: Mesh): Promise<readonly unknown[]> {
  return (await mesh.hub.problems()).filter(({ source }) => source === 'configuration')
}

async function allAnswer(mesh: Mesh, version: string): Promise<void> {
  const answers = await mesh.pod('client').http('http://echo/', { count: 10 })
  expect(answers.map(({ status, echo }) => `${status} ${echo?.version}`)).toEqual(
    answers.map(() => `200 ${version}`),
  )
}

/** The problem is in the hub's list and in the control plane's log, with file, line and field. */
async function isShown(mesh: Mesh, name: string, { text, code, at, path, says }: Mistake): Promise<void> {
  const line = lineOf(text, at)
  const file = mesh.config.file(name)
  await eventually(async () => {
    const found = (await mesh.hub.problems()).filter(one => one.file === file)
    const shown = {
      severity: 'error',
      code,
      line,
      ...(path ? { path } : {}),
      message: expect.stringMatching(says),
    }
    expect(found).toContainEqual(expect.objectContaining(shown))
  })
  const logged = {
    level: 50,
    code,
    position: expect.objectContaining({ file, line }),
    ...(path ? { path } : {}),
  }
  expect(await controlPlaneLog(mesh)).toContainEqual(expect.objectContaining(logged))
}

describeMesh('a mistake in the configuration', mesh => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'seine-bad-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** What `seinectl apply` says, which is to be no, with the place; nothing is written. */
  async function isRefused({ text, code, at, path, says }: Mistake): Promise<void> {
    const file = join(folder, 'given.yaml')
    await writeFile(file, text)
    const contents = async () =>
      Promise.all(
        (await readdir(mesh().config.path)).map(name => readFile(join(mesh().config.path, name), 'utf8')),
      )
    const before = await contents()
    const { code: exit, stdout, stderr } = await seinectl(['apply', '-f', file], '', folder)
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: '' })
    const line = stderr.split('\n').find(one => one.includes(`${file}:${lineOf(text, at)}:`)) ?? stderr
    expect(line).toContain(`[${code}]`)
    expect(line).toMatch(says)
    if (path) expect(line).toContain(path)
    expect(await contents()).toEqual(before)
  }

  test.each(MISTAKES)('$title: shown where people look, the last good state stays', async mistake => {
    const m = mesh()
    await m.apply('versions', good('v1'))
    await allAnswer(m, 'v1')
    await m.apply('versions', mistake.text, { broken: true })
    await isShown(m, 'versions', mistake)
    await allAnswer(m, 'v1')
    await isRefused(mistake)
    await m.apply('versions', good('v2'))
    await allAnswer(m, 'v2')
    expect(await inFiles(m)).toEqual([])
  })

  test.each(COLLISIONS)('$title: shown where people look, what was there first stays', async mistake => {
    const m = mesh()
    await m.apply('versions', good('v1'))
    await m.apply('second', mistake.text, { broken: true })
    await isShown(m, 'second', mistake)
    await allAnswer(m, 'v1')
    await m.remove('second')
    expect(await inFiles(m)).toEqual([])
    await allAnswer(m, 'v1')
    // To write an object again under its name is no collision for seinectl, but a change.
    if (mistake.code !== 'duplicate-resource') await isRefused(mistake)
  })
})
