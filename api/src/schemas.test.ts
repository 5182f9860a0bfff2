import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { kindDefinitions } from './kinds.ts'
import { type Schema, unwrap } from './parse/schema-walk.ts'
import { parseYaml } from './parse/yaml.ts'
import { groupOf } from './resource.ts'

const ROOT = new URL('../testdata/', import.meta.url)
const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).sort()
const textOf = (file: string) => readFileSync(new URL(file, ROOT), 'utf8')

/** Fields that belong to the API and are refused whatever they hold. */
const NEVER_VALID: Readonly<Record<string, readonly string[]>> = {
  'networking.istio.io/VirtualService': [
    'http[].fault.delay.exponentialDelay',
    'http[].fault.abort.http2Error',
  ],
  'networking.istio.io/Gateway': ['servers[].port.targetPort'],
  'networking.istio.io/Sidecar': ['ingress[].port.targetPort'],
  'networking.istio.io/EnvoyFilter': ['targetRefs[].namespace'],
  'security.istio.io/RequestAuthentication': ['targetRef.namespace'],
  'security.istio.io/AuthorizationPolicy': ['targetRef.namespace'],
  'telemetry.istio.io/Telemetry': ['targetRef.namespace'],
  'extensions.istio.io/WasmPlugin': ['targetRef.namespace'],
}

/** The fields of schemas that values use. An object that several fields share counts once. */
class Used {
  readonly #fields = new Map<Schema, Set<string>>()

  note(schema: Schema, value: unknown): void {
    if (value === undefined || value === null) return
    const { type, def } = unwrap(schema)
    if (def.type === 'array') for (const item of value as unknown[]) this.note(def.element, item)
    else if (def.type === 'record') for (const item of Object.values(value)) this.note(def.valueType, item)
    else if (def.type === 'object')
      for (const [name, field] of Object.entries(def.shape)) {
        const within = (value as Record<string, unknown>)[name]
        if (within === undefined) continue
        this.#fields.set(type, (this.#fields.get(type) ?? new Set()).add(name))
        this.note(field, within)
      }
  }

  /** The paths of those that no value has. */
  missing(schema: Schema, path = '', seen = new Set<Schema>()): string[] {
    const { type, def } = unwrap(schema)
    if (def.type === 'array') return this.missing(def.element, `${path}[]`, seen)
    if (def.type === 'record') return this.missing(def.valueType, `${path}{}`, seen)
    if (def.type !== 'object' || seen.has(type)) return []
    seen.add(type)
    return Object.entries(def.shape).flatMap(([name, field]) => {
      const at = path === '' ? name : `${path}.${name}`
      return this.#fields.get(type)?.has(name) ? this.missing(field, at, seen) : [at]
    })
  }
}

describe('valid objects', () => {
  const valid = files.filter(file => file.endsWith('.valid.yaml'))

  it.each(valid)('%s has nothing wrong', file => {
    const errors = parseYaml(textOf(file), file).problems.filter(
      ({ code, severity }) => severity === 'error' && code !== 'unsupported',
    )
    expect(errors.map(({ path, message }) => `${path}: ${message}`)).toEqual([])
  })

  const inputs = valid.flatMap(file =>
    textOf(file)
      .split(/^---\n/m)
      .map(text => parse(text) as Record<string, unknown> & { apiVersion: string; kind: string }),
  )
  const used = new Used()
  for (const { schema, body, kind, group } of kindDefinitions)
    for (const input of inputs)
      if (input.kind === kind && groupOf(input.apiVersion) === group)
        used.note(schema, body === 'spec' ? input['spec'] : input)

  it.each(
    kindDefinitions.map(one => [`${one.group}/${one.kind}`, one] as const),
  )('%s: every field of its schema is in one of them', (name, { schema }) => {
    expect(used.missing(schema)).toEqual(NEVER_VALID[name] ?? [])
  })
})

/** What validation says of a document, line by line, with the place below the comments that it begins with. */
function problemsOf(document: string): string[] {
  return parseYaml(document, 'test.yaml').problems.map(
    ({ severity, position, path, message }) =>
      `${position?.line}:${position?.column} ${severity} ${path ?? '-'}: ${message}`,
  )
}

const EXPECTED = /^# (\d+:\d+ .+)\n/gm

describe.each(files.filter(file => file.endsWith('.invalid.yaml')))('%s', file => {
  const documents = textOf(file)
    .split(/^---\n/m)
    .map(text => {
      const [comments = ''] = /^(#.*\n)*/.exec(text) ?? []
      return { comments, body: text.slice(comments.length) }
    })

  if (process.env['GOLDEN_UPDATE']) {
    const written = documents.map(({ comments, body }) => {
      const found = problemsOf(body).map(line => `# ${line}\n`)
      return `${comments.replaceAll(EXPECTED, '')}${found.join('')}${body}`
    })
    writeFileSync(new URL(file, ROOT), written.join('---\n'))
  }

  it.each(
    documents.map(({ comments, body }, index) => [index, comments, body] as const),
  )('document %i has the problems that its comments say', (_index, comments, body) => {
    const expected = [...comments.matchAll(EXPECTED)].map(([, line]) => line)
    expect(expected.length).toBeGreaterThan(0)
    expect(problemsOf(body)).toEqual(expected)
  })
})
