import { describe, expect, it } from 'vitest'
import { durationMs } from '../fields.ts'
import { meshConfigSchema } from '../mesh/mesh-config.ts'
import { UNSUPPORTED_SETTINGS } from '../mesh/unsupported-settings.ts'
import { leafFields } from './schema-walk.ts'
import { parseMeshConfig, parseYaml } from './yaml.ts'

const route = (body: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
${body}`

function only(text: string) {
  const { resources, problems } = parseYaml(text, 'a.yaml')
  expect(resources).toEqual([])
  return problems.map(
    p => `${p.position?.line}:${p.position?.column} ${p.code} ${p.path ?? ''}: ${p.message}`,
  )
}

describe('parseYaml', () => {
  it('reads a valid resource and fills in the namespace', () => {
    const { resources, problems } = parseYaml(
      route('  - route: [{destination: {host: reviews, subset: v1}}]'),
      'a.yaml',
    )
    expect(problems).toEqual([])
    expect(resources[0]).toMatchObject({
      kind: 'VirtualService',
      metadata: { name: 'reviews', namespace: 'default' },
    })
    expect(resources[0]?.origin?.locate('spec.http[0].route[0].destination.subset')).toEqual({
      file: 'a.yaml',
      line: 8,
      column: 43,
    })
    expect(resources[0]?.origin?.locate('spec.http[0].timeout')).toEqual({
      file: 'a.yaml',
      line: 8,
      column: 5,
    })
  })

  it.each([
    [
      'unknown field',
      route('  - rout: [{destination: {host: reviews}}]'),
      [
        '8:5 IST0106 spec.http[0]: one of route, redirect, directResponse, delegate must be set',
        '8:5 IST0106 spec.http[0].rout: there is no field "rout" here: did you mean "route"?',
      ],
    ],
    [
      'two actions',
      route('  - {route: [{destination: {host: a}}], redirect: {uri: /x}}'),
      [
        '8:41 IST0106 spec.http[0].redirect: only one of route, redirect, directResponse, delegate can be set',
      ],
    ],
    [
      'bad duration',
      route('  - {timeout: 5, route: [{destination: {host: a}}]}'),
      ['8:6 IST0106 spec.http[0].timeout: must be a duration such as 1s, 250ms or 1h30m'],
    ],
    [
      'unknown kind',
      'apiVersion: v1\nkind: Servise\nmetadata: {name: a}\n',
      ['2:1 unknown-kind kind: there is no kind Servise: did you mean Service?'],
    ],
    [
      'unknown version',
      'apiVersion: networking.istio.io/v9\nkind: Sidecar\nmetadata: {name: a}\n',
      [
        '1:1 unknown-kind apiVersion: Sidecar is not known in networking.istio.io/v9; supported: networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3',
      ],
    ],
    [
      'broken YAML',
      'a: [1, 2\nb: 3\n',
      [
        '2:1 yaml-syntax : Flow sequence in block collection must be sufficiently indented and end with a ]',
        '2:2 yaml-syntax : Nested mappings are not allowed in compact mappings',
        '3:1 yaml-syntax : Flow sequence in block collection must be sufficiently indented and end with a ]',
      ],
    ],
    ['duplicate key', 'a: 1\na: 2\n', ['2:1 yaml-syntax : Map keys must be unique']],
    [
      'ignored kind',
      'apiVersion: v1\nkind: Role\nmetadata: {name: a}\n',
      ['2:1 ignored-kind kind: the mesh does not use Role; it is left alone'],
    ],
  ])('reports %s with its place', (_name, text, expected) => {
    const lines = only(text)
    for (const line of expected.slice(0, 1)) expect(lines).toContain(line)
  })

  it('reads what is good beside what is broken', () => {
    const good = route('  - route: [{destination: {host: reviews}}]')
    const { resources, problems } = parseYaml(
      `${good}\n---\nkind: Nope\napiVersion: v1\n---\n${good.replace('name: reviews', 'name: other')}`,
      'a.yaml',
    )
    expect(resources.map(r => r.metadata.name)).toEqual(['reviews', 'other'])
    expect(problems).toHaveLength(1)
  })
})

it.each([
  ['1.5s', 1500],
  ['1h30m', 5_400_000],
  ['250ms', 250],
  ['0s', 0],
])('durationMs(%s) is %d', (text, ms) => {
  expect(durationMs(text)).toBe(ms)
})

describe('the settings of the mesh', () => {
  it('that are an alias of nothing are a problem, and no exception', () => {
    const parsed = parseMeshConfig('*.example.com')
    expect(parsed.ok).toBe(false)
    if (!parsed.ok) expect(parsed.error.map(({ code }) => code)).toEqual(['mesh-config'])
  })

  const problemsOf = (text: string) => {
    const parsed = parseMeshConfig(text)
    return parsed.ok ? [] : parsed.error.map(({ path, message }) => `${path}: ${message}`)
  }

  it('of Istio that nothing does are refused with a reason, and what is none of Istio’s with a word that is near', () => {
    const text = `
      ingressClass: istio
      conectTimeout: 1s
      defaultConfig: {tracing: {zipkin: {address: a}, samplings: 1}}
    `
    expect(problemsOf(text)).toEqual([
      'defaultConfig.tracing.zipkin: spans go over OTLP: leave it out',
      'defaultConfig.tracing.samplings: there is no setting of this name: did you mean sampling?',
      'ingressClass: the kind Ingress is not read: use Gateway or the Gateway API',
      'conectTimeout: there is no setting of this name: did you mean connectTimeout?',
    ])
  })

  it('take as the format of access logs what their encoding takes', () => {
    expect(problemsOf('accessLogFormat: "%PROTOCOL%"')).toEqual([
      'accessLogFormat: must be a JSON object with the encoding JSON',
    ])
    expect(problemsOf(`{accessLogEncoding: TEXT, accessLogFormat: "%PROTOCOL%"}`)).toEqual([])
    expect(problemsOf(`accessLogFormat: '{"protocol": "%PROTOCOL%"}'`)).toEqual([])
  })

  it('are of both kinds, and no setting is among those that are refused', () => {
    const known = leafFields(meshConfigSchema).map(path => path.join('.'))
    const both = Object.keys(UNSUPPORTED_SETTINGS).filter(path =>
      known.some(one => one === path || one.startsWith(`${path}.`)),
    )
    expect(both).toEqual([])
  })
})
