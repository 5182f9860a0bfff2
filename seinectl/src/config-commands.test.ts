import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Ran, runCaptured } from './testing-terminal.ts'

const rule = (name: string, host = name) =>
  `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: ${name}\nspec:\n  host: ${host}\n`
const route = `# Everything to v1.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews] # the short name
  http:
    - route: [{destination: {host: reviews, subset: v1}}]
`

const service = (name: string) =>
  `apiVersion: v1\nkind: Service\nmetadata:\n  name: ${name}\nspec:\n  ports: [{name: http, port: 80}]\n`
const subsets = '  subsets: [{name: v1, labels: {version: v1}}]\n'

let work: string
let config: string

const read = (name: string) => readFileSync(join(config, name), 'utf8')
const give = (name: string, text: string): string => {
  writeFileSync(join(work, name), text)
  return join(work, name)
}
const has = (name: string, text: string) => writeFileSync(join(config, name), text)
const seinectl = (...args: string[]): Promise<Ran> => runCaptured(args, { env: { SEINE_CONFIG: config } })

/** Runs `act` while a hub says that the mesh reads these folders. */
async function serving(
  folders: readonly string[],
  act: (server: string) => Promise<void>,
  problems: readonly object[] = [],
  registered: readonly object[] = [],
): Promise<void> {
  const answers: Readonly<Record<string, unknown>> = {
    '/api/v1/problems': problems,
    '/api/v1/registered': registered,
  }
  const hub = createServer((request, response) => {
    const answer = answers[request.url ?? ''] ?? { version: '0', configFolders: folders }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
  await new Promise<void>(resolve => hub.listen(0, '127.0.0.1', resolve))
  try {
    await act(`http://127.0.0.1:${(hub.address() as AddressInfo).port}`)
  } finally {
    hub.closeAllConnections()
    hub.close()
  }
}

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'seinectl-'))
  config = join(work, 'config')
  mkdirSync(config)
})
afterEach(() => rmSync(work, { recursive: true, force: true }))

describe('apply', () => {
  it('refuses a canary that nobody would watch', async () => {
    const file = give('a.yaml', route)
    has('base.yaml', `${service('reviews')}---\n${rule('reviews')}${subsets}`)
    const canary = ['apply', '-f', file, '--canary', 'web']
    const alone = await seinectl(...canary)
    expect(alone).toMatchObject({ code: 1, err: expect.stringContaining('a canary needs a running mesh') })
    await serving([config], async server => {
      const nobody = await seinectl(...canary, '--server', server)
      expect(nobody.code).toBe(1)
      expect(nobody.err).toContain('/api/v1/proxies answers with something else')
    })
    expect(existsSync(join(config, 'virtualservice-default-reviews-canary.yaml'))).toBe(false)
    for (const wrong of [
      ['--canary-duration', 'soon'],
      ['--canary-max-errors', '101'],
      ['--canary-max-latency', '-1'],
      ['--canary-min-requests', '-1'],
    ])
      expect((await seinectl(...canary, ...wrong)).code).toBe(2)
  })

  it('writes a file per object as it was given, and tells created, configured and unchanged', async () => {
    has('services.yaml', service('reviews'))
    const file = give(
      'in.yaml',
      `${route}---\n${rule('reviews')}${subsets}---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n`,
    )
    const names = [
      'virtualservice.networking.istio.io/reviews',
      'destinationrule.networking.istio.io/reviews',
      'namespace/shop',
    ]
    expect(await seinectl('apply', '-f', file)).toEqual({
      code: 0,
      out: names.map(name => `${name} created\n`).join(''),
      err: '',
    })
    expect(readdirSync(config).sort()).toEqual([
      'destinationrule-default-reviews.yaml',
      'namespace-shop.yaml',
      'services.yaml',
      'virtualservice-default-reviews.yaml',
    ])
    expect(read('virtualservice-default-reviews.yaml')).toBe(route)
    expect((await seinectl('apply', '-f', file)).out).toBe(names.map(name => `${name} unchanged\n`).join(''))
    const changed = give('changed.yaml', rule('reviews', 'other'))
    expect((await seinectl('apply', '-f', changed)).out).toBe(
      'destinationrule.networking.istio.io/reviews configured\n',
    )
    expect(read('destinationrule-default-reviews.yaml')).toContain('host: other')
  })

  it('updates the document where it stands and leaves the others as they are', async () => {
    has(
      'all.yaml',
      `# The shop's rules.\n---\n# a, by anna\n${rule('a')}# b, by bob\n--- # b\n${rule('b')}---\n# c, by carl\n${rule('c')}`,
    )
    const { out } = await seinectl('apply', '-f', give('b.yaml', `# b, anew\n${rule('b', 'new')}`))
    expect(out).toBe('destinationrule.networking.istio.io/b configured\n')
    expect(readdirSync(config)).toEqual(['all.yaml'])
    expect(read('all.yaml')).toBe(
      `# The shop's rules.\n---\n# a, by anna\n${rule('a')}# b, by bob\n--- # b\n# b, anew\n${rule('b', 'new')}---\n# c, by carl\n${rule('c')}`,
    )
  })

  it('updates items of lists, JSON files, and documents that are broken', async () => {
    const object = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
    has('list.yaml', JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [object('x'), object('y')] }))
    has('one.json', JSON.stringify(object('z')))
    has('broken.yaml', `${rule('a')}---\n${rule('b')}  oops: [\n`)
    const labelled = (name: string) =>
      `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}, labels: {a: b}}\n`
    const given = [labelled('y'), labelled('z'), rule('b')].join('---\n')
    const { code, out } = await runCaptured(['apply', '-f', '-', '--config', config], { stdin: given })
    expect({ code, out }).toEqual({
      code: 0,
      out: 'namespace/y configured\nnamespace/z configured\ndestinationrule.networking.istio.io/b configured\n',
    })
    expect(JSON.parse(read('one.json'))).toEqual({
      ...object('z'),
      metadata: { name: 'z', labels: { a: 'b' } },
    })
    expect(read('broken.yaml')).toBe(`${rule('a')}---\n${rule('b')}`)
    const { out: names } = await seinectl('get', 'ns', '-o', 'name')
    expect(names).toBe('namespace/x\nnamespace/y\nnamespace/z\n')
    expect(JSON.parse((await seinectl('get', 'ns', 'y', '-o', 'json')).out)).toMatchObject({
      ...object('y'),
      metadata: { name: 'y', labels: { a: 'b' } },
    })
  })

  it('refuses everything if one object is wrong, and names the place', async () => {
    const file = give('bad.yaml', `${rule('a')}---\n${rule('b').replace('host:', 'hots:')}`)
    const { code, out, err } = await seinectl('apply', '-f', file)
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain(
      `error: ${file}:13:3: DestinationRule default/b: spec.hots: there is no field "hots" here: did you mean "host"? [IST0106]\n`,
    )
    expect(readdirSync(config)).toEqual([])
  })

  it('refuses what would lead nowhere in the running mesh, with the place', async () => {
    const services = join(work, 'services.yaml')
    writeFileSync(services, service('reviews'))
    await serving([config, services], async server => {
      const apply = (name: string, text: string) =>
        seinectl('apply', '-f', give(name, text), '--server', server)
      expect(await apply('route.yaml', route)).toEqual({
        code: 1,
        out: '',
        err: `error: ${join(work, 'route.yaml')}:9:45: VirtualService default/reviews: spec.http[0].route[0].destination.subset: no DestinationRule for reviews.default.svc.cluster.local defines the subset v1; the last good version of this resource stays in force [IST0101]\n`,
      })
      expect(readdirSync(config)).toEqual([])
      // Also when it stands there already, written by hand.
      has('route.yaml', route)
      expect((await apply('route.yaml', route)).code).toBe(1)
      expect((await apply('both.yaml', `${route}---\n${rule('reviews')}${subsets}`)).code).toBe(0)
      const second = await apply('second.yaml', route.replace('name: reviews', 'name: second'))
      expect(second.code).toBe(1)
      expect(second.err).toContain('second.yaml:7:11: VirtualService default/second: spec.hosts[0]')
      const other = await apply('rule.yaml', rule('reviews'))
      expect({ code: other.code, err: other.err }).toEqual({
        code: 1,
        err: expect.stringContaining(
          'VirtualService default/reviews: spec.http[0].route[0].destination.subset',
        ),
      })
    })
  })

  it('warns of a host that it does not know where it does not know the mesh', async () => {
    const { code, err } = await seinectl('apply', '-f', give('route.yaml', route))
    expect(code).toBe(0)
    expect(err).toMatch(/^warning: .+route\.yaml:9:30: .+no service has the host reviews/)
  })

  it('gives objects the namespace of the flag, and refuses a contradiction', async () => {
    const { out } = await seinectl('apply', '-n', 'shop', '-f', give('a.yaml', `# kept\n${rule('a')}`))
    expect(out).toBe('destinationrule.networking.istio.io/a created\n')
    expect(read('destinationrule-shop-a.yaml')).toMatch(/^# kept\n[\s\S]*namespace: shop\n/)
    const other = give('b.yaml', rule('b').replace('name: b', 'name: b\n  namespace: x'))
    const { code, err } = await seinectl('apply', '-n', 'shop', '-f', other)
    expect({ code, err }).toEqual({
      code: 1,
      err: `error: ${other}:5:3: DestinationRule x/b: metadata.namespace: the object is of namespace x, which --namespace shop contradicts [namespace-conflict]\n`,
    })
  })

  it('writes nothing in a dry run', async () => {
    const { out } = await seinectl('apply', '--dry-run', '-f', give('a.yaml', rule('a')))
    expect(out).toBe('destinationrule.networking.istio.io/a created (dry run)\n')
    expect(readdirSync(config)).toEqual([])
  })

  it('says what is missing', async () => {
    const nope = join(work, 'nope.yaml')
    expect(await seinectl('apply', '-f', nope)).toEqual({
      code: 1,
      out: '',
      err: `error: ${nope}:1: there is no such file or folder [file-not-found]\n`,
    })
    const empty = give('empty.yaml', '# nothing\n')
    expect((await seinectl('apply', '-f', empty)).err).toBe(`error: there are no objects in ${empty}\n`)
    expect((await seinectl('apply')).code).toBe(2)
  })
})

describe('delete', () => {
  it('removes documents, and files that hold nothing more', async () => {
    has('two.yaml', `# heading\n---\n${rule('a')}---\n# of b\n${rule('b')}`)
    has('c.yaml', `# only\n${rule('c')}`)
    expect(await seinectl('delete', 'dr', 'a', 'c')).toEqual({
      code: 0,
      out: 'destinationrule.networking.istio.io "a" deleted\ndestinationrule.networking.istio.io "c" deleted\n',
      err: '',
    })
    expect(read('two.yaml')).toBe(`# heading\n---\n# of b\n${rule('b')}`)
    expect(existsSync(join(config, 'c.yaml'))).toBe(false)
    expect((await seinectl('delete', '-f', give('b.yaml', rule('b')))).code).toBe(0)
    expect(readdirSync(config)).toEqual([])
  })

  it('tells what is not there', async () => {
    expect(await seinectl('delete', 'vs/x', '-n', 'shop')).toEqual({
      code: 1,
      out: '',
      err: 'error: virtualservice.networking.istio.io "x" not found in namespace shop\n',
    })
    expect((await seinectl('delete', 'vs/x', '--ignore-not-found')).code).toBe(0)
    expect((await seinectl('delete')).code).toBe(2)
    expect((await seinectl('delete', 'vs')).code).toBe(2)
  })
})

describe('get', () => {
  it('shows the entries of workloads that have registered with the mesh, which no folder holds', async () => {
    const entry = (name: string, address: string) => ({
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadEntry',
      metadata: { name, namespace: 'default', annotations: { 'istio.io/autoRegistrationGroup': 'vms' } },
      spec: { address, labels: { app: 'vm' } },
      status: { conditions: [{ type: 'Healthy', status: 'False' }] },
    })
    has(
      'entry.yaml',
      'apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: vms-10.9.0.2}\nspec: {address: 10.0.0.1}\n',
    )
    const registered = [entry('vms-10.9.0.1', '10.9.0.1'), entry('vms-10.9.0.2', '10.9.0.2')]
    await serving(
      [config],
      async server => {
        const { code, out } = await seinectl('get', 'workloadentries', '--server', server)
        expect(code).toBe(0)
        expect(out.split('\n').map(line => line.trim().split(/\s{2,}/))).toMatchObject([
          ['NAME', 'ADDRESS', 'LABELS', 'HEALTHY', 'PROBLEMS'],
          ['vms-10.9.0.1', '10.9.0.1', 'app=vm', 'False', '<none>'],
          ['vms-10.9.0.2', '10.0.0.1', '<none>', '<none>', '<none>'],
          [''],
        ])
        const services = await seinectl('get', 'svc', '--server', server)
        expect(services.out).not.toContain('vms')
      },
      [],
      registered,
    )
  })

  beforeEach(() =>
    has(
      'all.yaml',
      `${route}---\n${rule('reviews')}---\n${rule('ratings').replace('name: ratings', 'name: ratings\n  namespace: shop')}`,
    ),
  )

  it('shows what the running mesh says of the objects, and says nothing without one', async () => {
    has('a.yaml', route)
    const problem = {
      source: 'configuration',
      severity: 'warning',
      code: 'IST0130',
      message: 'is never reached',
      kind: 'VirtualService',
      namespace: 'default',
      name: 'reviews',
      path: 'spec.http[1]',
      file: 'a.yaml',
      line: 3,
    }
    const act = async (server: string) => {
      const table = await seinectl('get', 'vs', '--server', server)
      expect(table.out).toMatch(/PROBLEMS\nreviews .* IST0130\n/)
      expect(table.err).toBe(
        'warning: a.yaml:3: VirtualService default/reviews: spec.http[1]: is never reached [IST0130]\n',
      )
      const yaml = await seinectl('get', 'vs', 'reviews', '-o', 'json', '--server', server)
      expect(JSON.parse(yaml.out).status.validationMessages).toEqual([
        { type: { code: 'IST0130' }, level: 'WARNING', message: 'is never reached', path: 'spec.http[1]' },
      ])
    }
    await serving([config], act, [problem])
    expect((await seinectl('get', 'vs')).out).not.toContain('PROBLEMS')
  })

  it('prints tables', async () => {
    expect((await seinectl('get', 'vs')).out).toBe(
      'NAME      GATEWAYS   HOSTS\nreviews   <none>     reviews\n',
    )
    expect((await seinectl('get', 'dr', '-A', '-o', 'wide')).out).toBe(
      `NAMESPACE   NAME      HOST      SUBSETS   FILE\ndefault     reviews   reviews   <none>    ${config}/all.yaml:11\nshop        ratings   ratings   <none>    ${config}/all.yaml:18\n`,
    )
    expect((await seinectl('get', 'all')).out).toBe(
      'NAME                                          HOST      SUBSETS\ndestinationrule.networking.istio.io/reviews   reviews   <none>\n\n' +
        'NAME                                         GATEWAYS   HOSTS\nvirtualservice.networking.istio.io/reviews   <none>     reviews\n',
    )
  })

  it('prints YAML and JSON', async () => {
    expect((await seinectl('get', 'dr/ratings', '-n', 'shop', '-o', 'yaml')).out).toBe(
      'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: ratings\n  namespace: shop\nspec:\n  host: ratings\n',
    )
    const list = JSON.parse((await seinectl('get', 'vs,dr', '-o', 'json')).out)
    expect(list).toMatchObject({
      kind: 'List',
      items: [{ kind: 'VirtualService' }, { kind: 'DestinationRule' }],
    })
  })

  it('tells what is not there, what is no kind, and what is broken', async () => {
    has('bad.yaml', 'kind: [\n')
    const missing = await seinectl('get', 'vs', 'nope')
    expect(missing.code).toBe(1)
    expect(missing.err).toContain(`warning: ${config}/bad.yaml:`)
    expect(missing.err).toContain(
      'error: virtualservice.networking.istio.io "nope" not found in namespace default\n',
    )
    const unknown = await seinectl('get', 'virtualservces')
    expect(unknown.code).toBe(2)
    expect(unknown.err).toMatch(/^error: there is no kind "virtualservces": did you mean "virtualservices"\?/)
    expect((await seinectl('get', 'vs', '--config', join(work, 'no'))).err).toContain(
      `warning: there is no folder ${work}/no\n`,
    )
    expect((await seinectl('get', 'sa')).err).toContain('no resources found in namespace default\n')
  })
})
