import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Ran, runCaptured } from './testing-terminal.ts'

const mesh = `apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  clusterIP: 10.96.0.22
  selector: {app: reviews}
  ports: [{name: http, port: 9080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1}
spec:
  selector: {matchLabels: {app: reviews}}
  template:
    metadata: {labels: {app: reviews, version: v1}}
    spec: {serviceAccountName: reviews, containers: [{name: app}]}
`
const PROXY = 'sidecar~10.0.0.1~reviews-v1.default~default.svc.cluster.local'
let folder: string
let file: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'seinectl-render-'))
  file = join(folder, 'mesh.yaml')
  writeFileSync(file, mesh)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const clusterNames = ({ out }: Ran): string[] =>
  (JSON.parse(out) as { clusters: { name: string }[] }).clusters.map(({ name }) => name)

describe('render', () => {
  it('tells of patches without effect, and asks for versions as an agent gives them', async () => {
    const patch = (proxyVersion: string) => `    - applyTo: LISTENER
      match: {context: SIDECAR_INBOUND, proxy: {proxyVersion: '${proxyVersion}'}, listener: {name: none}}
      patch: {operation: REMOVE}
`
    const stdin = `apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: own, namespace: default}
spec:
  configPatches:
${patch('^1\\.31.*')}${patch('^1\\.2.*')}`
    const ran = await runCaptured(['render', '--proxy', PROXY, '-f', '-'], { stdin })
    expect(ran.code).toBe(0)
    const found = ran.err.split('\n').filter(line => line.includes('patch-unused'))
    expect(found).toEqual([
      'warning: stdin:7:7: EnvoyFilter default/own: spec.configPatches[0].match: the patch has no effect: no LISTENER of the proxies it is for is matched [patch-unused]',
    ])
  })

  it('prints what the proxy would be served', async () => {
    const ran = await runCaptured([
      'render',
      '--proxy',
      PROXY,
      '--labels',
      'app=reviews,version=v1',
      '-f',
      file,
      '-o',
      'json',
    ])
    expect({ code: ran.code, err: ran.err }).toEqual({ code: 0, err: '' })
    expect(Object.keys(JSON.parse(ran.out))).toEqual([
      'listeners',
      'routes',
      'clusters',
      'endpoints',
      'extensions',
      'bootstrap',
    ])
    expect(clusterNames(ran)).toEqual(
      expect.arrayContaining(['outbound|9080||reviews.default.svc.cluster.local', 'inbound|9080||']),
    )
    // The first to load the translation, which takes its time on a busy machine.
  }, 30_000)

  it("takes the labels of the workload's Deployment where none are given", async () => {
    expect(clusterNames(await runCaptured(['render', '--proxy', PROXY, '-f', folder]))).toContain(
      'inbound|9080||',
    )
    expect(
      clusterNames(await runCaptured(['render', '--proxy', PROXY, '--labels', 'app=other', '-f', folder])),
    ).not.toContain('inbound|9080||')
  })

  it('leaves out what is broken and says so', async () => {
    const ran = await runCaptured(['render', '--proxy', PROXY, '-f', '-'], {
      stdin: `${mesh}---\nkind: Nope\napiVersion: v1\n`,
    })
    expect(ran.code).toBe(1)
    expect(ran.err).toBe(
      'error: stdin:18:1: kind: there is no kind Nope: did you mean Node? [unknown-kind]\n',
    )
    expect(clusterNames(ran)).toContain('inbound|9080||')
  })

  it('prints what an application gets whose gRPC library is its proxy, and what that can not do', async () => {
    const routes = `${mesh}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{rewrite: {authority: x}, route: [{destination: {host: reviews}}]}]}
`
    const ran = await runCaptured(['render', '--generator', 'grpc', '--proxy', PROXY, '-f', '-'], {
      stdin: routes,
    })
    expect(ran.code).toBe(0)
    const { listeners } = JSON.parse(ran.out) as { listeners: { name: string }[] }
    expect(listeners.map(({ name }) => name)).toContain('reviews.default.svc.cluster.local:9080')
    expect(ran.err).toMatch(
      /^warning: stdin:\d+:\d+: VirtualService default\/reviews: spec\.http\[0\]\.rewrite: /,
    )
    expect((await runCaptured(['render', '--generator', 'x', '--proxy', PROXY, '-f', file])).code).toBe(2)
  })

  it('refuses what is no proxy and no label', async () => {
    expect(await runCaptured(['render', '--proxy', 'x', '-f', file])).toMatchObject({ code: 2, out: '' })
    expect((await runCaptured(['render', '--proxy', PROXY, '--labels', 'x', '-f', file])).err).toContain(
      '"x" is not of the form key=value',
    )
  })
})

describe('usage', () => {
  it('helps, with examples', async () => {
    for (const command of [
      'apply',
      'get',
      'delete',
      'proxy-status',
      'proxy-config',
      'render',
      'dashboard',
      'version',
      'completion',
    ]) {
      const { code, out } = await runCaptured([command, '--help'])
      expect({ command, code, examples: out.includes('Examples:\n') }).toEqual({
        command,
        code: 0,
        examples: true,
      })
    }
  })

  it('suggests a command', async () => {
    const { code, err } = await runCaptured(['aply'])
    expect(code).toBe(2)
    expect(err).toContain('Did you mean apply?')
  })

  it.each(['bash', 'zsh', 'fish'])('completes commands, flags and kinds in %s', async shell => {
    const { code, out } = await runCaptured(['completion', shell])
    expect(code).toBe(0)
    for (const word of ['proxy-config', 'all-namespaces', 'virtualservices', 'listeners'])
      expect(out).toContain(word)
  })
})

const bin = fileURLToPath(new URL('../bin/seinectl.js', import.meta.url))

describe.runIf(existsSync(fileURLToPath(new URL('../dist/main.js', import.meta.url))))(
  'the built program',
  () => {
    const spawned = (...args: string[]): Promise<Ran> =>
      new Promise((resolve, reject) => {
        const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
        let [out, err] = ['', '']
        child.stdout.setEncoding('utf8').on('data', text => {
          out += text
        })
        child.stderr.setEncoding('utf8').on('data', text => {
          err += text
        })
        child.on('error', reject)
        child.on('close', code => resolve({ code: code as Ran['code'], out, err }))
      })

    it('answers without colour into a pipe', async () => {
      expect(await spawned('version', '--client')).toEqual({
        code: 0,
        out: 'client version: 0.1.0\n',
        err: '',
      })
    })

    it('applies and gets', async () => {
      const config = join(folder, 'config')
      expect((await spawned('apply', '-f', file, '--config', config)).out).toBe(
        'service/reviews created\ndeployment.apps/reviews-v1 created\n',
      )
      expect((await spawned('get', 'svc', '--config', config)).out).toBe(
        'NAME      TYPE     CLUSTER-IP   PORT(S)    SELECTOR\nreviews   <none>   10.96.0.22   9080/TCP   app=reviews\n',
      )
    })

    it('exits with 2 on wrong usage', async () => {
      expect((await spawned('get')).code).toBe(2)
    })
  },
)
