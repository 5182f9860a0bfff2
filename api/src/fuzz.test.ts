import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { envoyAccepts, meshOfResources, renderJson, router, sidecar } from '@seine/testing/unit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { definitionOf } from './kinds.ts'
import { meshConfigSchema } from './mesh/mesh-config.ts'
import type { MeshResource } from './mesh-resource.ts'
import { parseObject } from './parse/object.ts'
import { type Schema, unwrap } from './parse/schema-walk.ts'
import { parseYaml } from './parse/yaml.ts'

/**
 * Whatever validation accepts, Envoy accepts. The meshes of the golden cases are changed at random places by what
 * the schemas of their objects say: fields that are added, taken away or given other values, good ones and hostile.
 *
 * `SEINE_RUNS=5000 SEINE_SEED=1 npx vitest run api/src/fuzz.test.ts` makes more runs, and the same ones again.
 */
const RUNS = Number(process.env['SEINE_RUNS'] ?? 60)
const SEED = Number(process.env['SEINE_SEED'] ?? Date.now() % 2 ** 31)

const TESTDATA = fileURLToPath(new URL('../../pilot/traffic/testdata', import.meta.url))
const APIDATA = fileURLToPath(new URL('../testdata', import.meta.url))

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type Object = { apiVersion: string; kind: string; metadata: Json } & { [key: string]: Json }

/** The objects in files of YAML; broken documents and such of unknown kinds are other tests' matter. */
function objectsIn(files: readonly string[]): Object[] {
  return files
    .flatMap(file => parseAllDocuments(readFileSync(file, 'utf8')).map(document => document.toJS() as Object))
    .filter(object => object && definitionOf(object) !== undefined)
}

interface Mesh {
  readonly name: string
  readonly objects: readonly Object[]
  readonly proxies: string
}

const MESHES: readonly Mesh[] = readdirSync(TESTDATA, { withFileTypes: true })
  .filter(entry => entry.isDirectory())
  .map(({ name }) => {
    const folder = join(TESTDATA, name)
    const files = readdirSync(join(folder, 'in')).map(file => join(folder, 'in', file))
    return { name, objects: objectsIn(files), proxies: readFileSync(join(folder, 'proxy.yaml'), 'utf8') }
  })

/** A valid object of each kind, those that nothing translates yet among them. */
const SAMPLES = objectsIn(
  readdirSync(APIDATA, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.valid.yaml'))
    .map(file => join(APIDATA, file)),
)

/** The clients of a mesh, as its case has them. */
function clientsOf({ proxies }: Mesh) {
  return parseAllDocuments(proxies).map(document => {
    const { id, labels } = document.toJS() as { id: string; labels?: Record<string, string> }
    const [type, address = '10.1.0.1', workload = 'web.default'] = id.split('~')
    const options = { address, ...(labels ? { labels } : {}), virtualHostDiscovery: false }
    return type === 'router' ? router(workload, options) : sidecar(workload, options)
  })
}

/** Texts for fields of any kind: what one field takes is hostile to another. */
const TEXTS = [
  ...['web', 'reviews', 'web.default.svc.cluster.local', '*.example.com', '*', 'EXAMPLE.com.', 'a..b', '-a'],
  ...['v1', 'http', 'tcp', 'mesh', 'default', '.', './*', '*/*', '~/*', '/', '/a?b#c', '//', '/%', '%', '%%'],
  ...['1s', '0s', '1ns', '1.5s', '876000h', '99999999999h', '80', '80-90', '0', '-1', '1e3'],
  ...['10.0.0.0/8', '10.0.0.1', '::', '::1/128', '::ffff:10.0.0.1', '10.0.0.1/33', '256.1.1.1', 'unix:///a'],
  ...['.*', '(', '[0-9]+', '(?i)a', 'a{1001}', '(?P<n>a)', '\\1', '(a|b)*?', '\\d'],
  ...['x-user', 'X-User', ':authority', ':path', 'host', 'not a name', 'x-a:b', '%REQ(x)%', '%DOWNSTREAM%'],
  ...[
    '',
    ' ',
    '\n',
    '\u0000',
    '\u{1F600}',
    'ä',
    'a'.repeat(300),
    '{a}',
    '{a=**}',
    '/{*}',
    '/{**}/a',
    '/etc/x',
  ],
  ...['GET', 'connect-failure,503', 'gateway-error', '5xx,,', 'aGk=', '%%%', 'UNAVAILABLE', 'region/zone/*'],
  ...['source.ip', 'request.headers[x]', 'cluster.local/ns/a/sa/b', '*a*', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
]
const NUMBERS = [
  ...[0, 1, -1, 2, 80, 200, 503, 599, 600, 65535, 65536, 0.5, 0.00001, 100, 101, 1024, 99999],
  ...[2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 1e300, 8388608, 8388609],
]
/** What is of no field's type, or of few. */
const ODD: readonly Json[] = [null, true, 'x', -1, [], {}, [{}], { a: 1 }]

type Generator = fc.GeneratorValue

function pick<T>(g: Generator, values: readonly T[]): T {
  return g(() => fc.constantFrom(...values)) as T
}

function chance(g: Generator, oneIn: number): boolean {
  return g(fc.nat, { max: oneIn - 1 }) === 0
}

/** A value of a schema's types, which need not be what else it asks for. */
function make(g: Generator, schema: Schema, depth = 0): Json {
  if (chance(g, 40)) return pick(g, ODD)
  const { def } = unwrap(schema)
  switch (def.type) {
    case 'object':
      return makeObject(g, def.shape, depth)
    case 'array': {
      const length = g(fc.nat, { max: depth > 4 ? 1 : 2 })
      return Array.from({ length }, () => make(g, def.element, depth + 1))
    }
    case 'record':
      return chance(g, 5) ? {} : { [pick(g, TEXTS)]: make(g, def.valueType, depth + 1) }
    case 'union':
      return make(g, pick(g, def.options), depth)
    case 'enum':
      return pick(g, Object.values(def.entries)) as Json
    case 'literal':
      return pick(g, def.values) as Json
    case 'lazy':
      return make(g, def.getter(), depth + 1)
    case 'boolean':
      return chance(g, 2)
    case 'number':
      return pick(g, NUMBERS)
    case 'string':
      return pick(g, TEXTS)
    default:
      return pick(g, ODD)
  }
}

function makeObject(g: Generator, shape: Readonly<Record<string, Schema>>, depth: number): Json {
  const names = Object.keys(shape)
  const chosen = names.filter(name => {
    const isNeeded = (shape[name] as Schema)._zod.optin !== 'optional'
    return isNeeded ? !chance(g, 30) : chance(g, depth > 3 ? 6 : 3)
  })
  return Object.fromEntries(chosen.map(name => [name, make(g, shape[name] as Schema, depth + 1)]))
}

/** A value of a schema with a change at one place in it. */
function mutate(g: Generator, schema: Schema, value: Json): Json {
  const { def } = unwrap(schema)
  if (def.type === 'array' && Array.isArray(value)) return mutateArray(g, def.element, value)
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (def.type === 'record' && isRecord) return mutateFields(g, () => def.valueType, TEXTS, value)
  if (def.type === 'object' && isRecord)
    return mutateFields(g, name => def.shape[name], Object.keys(def.shape), value)
  return make(g, schema)
}

function mutateArray(g: Generator, element: Schema, value: readonly Json[]): Json {
  if (value.length === 0 || chance(g, 6)) return [...value, make(g, element)]
  const index = g(fc.nat, { max: value.length - 1 })
  if (chance(g, 8)) return value.filter((_one, at) => at !== index)
  if (chance(g, 8)) return [...value, value[index] as Json]
  return value.map((one, at) => (at === index ? mutate(g, element, one) : one))
}

function mutateFields(
  g: Generator,
  schemaOf: (name: string) => Schema | undefined,
  names: readonly string[],
  value: { [key: string]: Json },
): Json {
  const there = Object.keys(value)
  if (chance(g, 60)) return { ...value, unknownField: 1 }
  if (there.length === 0 || chance(g, 3)) {
    if (names.length === 0) return value
    const name = pick(g, names)
    return { ...value, [name]: make(g, schemaOf(name) as Schema) }
  }
  const name = pick(g, there)
  const { [name]: inner, ...others } = value
  const schema = schemaOf(name)
  if (!schema || chance(g, 12)) return others
  return { ...value, [name]: mutate(g, schema, inner as Json) }
}

/** JSON of no schema, such as an EnvoyFilter's patches have it, with a change at one place. */
function mutateJson(g: Generator, value: Json): Json {
  if (typeof value === 'string') return pick(g, TEXTS)
  if (typeof value === 'number') return pick(g, NUMBERS)
  if (typeof value === 'boolean') return !value
  if (Array.isArray(value)) {
    if (value.length === 0) return value
    const index = g(fc.nat, { max: value.length - 1 })
    if (chance(g, 6)) return value.filter((_one, at) => at !== index)
    return value.map((one, at) => (at === index ? mutateJson(g, one) : one))
  }
  const names = Object.keys(value ?? {})
  if (value === null || names.length === 0) return value
  const name = pick(g, names)
  const { [name]: inner = null, ...others } = value
  return chance(g, 6) ? others : { ...others, [name]: mutateJson(g, inner) }
}

/** An EnvoyFilter with a change in what one of its patches holds. */
function mutatedPatch(g: Generator, object: Object): Object {
  const { configPatches: patches = [], ...rest } = object['spec'] as { configPatches?: Json[] }
  if (patches.length === 0) return object
  const index = g(fc.nat, { max: patches.length - 1 })
  const { patch, ...where } = patches[index] as { [key: string]: { [key: string]: Json } }
  const changed = { ...where, patch: { ...patch, value: mutateJson(g, patch?.['value'] ?? {}) } }
  const configPatches = patches.map((one, at) => (at === index ? changed : one)) as Json[]
  return { ...object, spec: { ...rest, configPatches } }
}

/** The mesh's settings, which are YAML within a ConfigMap, with a change. */
function mutatedSettings(g: Generator, object: Object): Object {
  const { mesh, ...data } = (object['data'] ?? {}) as { [key: string]: string }
  const changed = mutate(g, meshConfigSchema, (parse(mesh ?? '') ?? {}) as Json)
  // Envoy opens the file, which would be one of this machine's.
  const isFile = typeof changed === 'object' && changed !== null && 'accessLogFile' in changed
  const settings = isFile ? { ...changed, accessLogFile: '/dev/null' } : changed
  return { ...object, data: { ...data, mesh: stringify(settings) } }
}

/** An object with some changes in its body. */
function mutated(g: Generator, object: Object): Object {
  const definition = definitionOf(object)
  if (!definition) throw new Error(`there is no kind ${object.kind}`)
  if (object.kind === 'EnvoyFilter' && chance(g, 2)) return mutatedPatch(g, object)
  if (object.kind === 'ConfigMap' && 'mesh' in (object['data'] as object)) return mutatedSettings(g, object)
  let body = definition.body === 'spec' ? (object['spec'] ?? {}) : withoutHead(object)
  const times = 1 + g(fc.nat, { max: 2 })
  for (let time = 0; time < times; time++) body = mutate(g, definition.schema, body)
  if (definition.body === 'spec') return { ...object, spec: body }
  return { ...(body as object), apiVersion: object.apiVersion, kind: object.kind, metadata: object.metadata }
}

function withoutHead({ apiVersion: _v, kind: _k, metadata: _m, ...body }: Object): Json {
  return body
}

function acceptedOf(objects: readonly unknown[]): MeshResource[] {
  return objects.flatMap(object => {
    const parsed = parseObject(object)
    return parsed.ok ? [parsed.value] : []
  })
}

const parameters = { numRuns: RUNS, seed: SEED, endOnFailure: Boolean(process.env['SEINE_FAST']) }

describe(`objects changed at random (seed ${SEED})`, () => {
  it('are judged without an exception, and each time in the same way', () => {
    const property = fc.property(fc.gen(), g => {
      const object = mutated(g, pick(g, SAMPLES))
      const text = JSON.stringify(object)
      const [once, again] = [parseYaml(text, 'a.yaml'), parseYaml(text, 'a.yaml')]
      expect(again.problems).toEqual(once.problems)
      expect(JSON.stringify(again.resources)).toBe(JSON.stringify(once.resources))
    })
    fc.assert(property, { ...parameters, numRuns: RUNS * 5 })
  }, 3_600_000)

  it('are accepted by Envoy where validation accepts them', async () => {
    let asked = 0
    const property = fc.asyncProperty(fc.gen(), async g => {
      const mesh = pick(g, MESHES)
      const index = g(fc.nat, { max: mesh.objects.length - 1 })
      const changed = mutated(g, mesh.objects[index] as Object)
      const taken = parseObject(changed)
      if (!taken.ok) return
      const objects = mesh.objects.map((one, at) => (at === index ? changed : one))
      const snapshot = meshOfResources(acceptedOf(objects))
      for (const proxy of clientsOf(mesh)) {
        asked++
        const told = await envoyAccepts(renderJson(snapshot, proxy))
        if (!told.ok) throw new Error(`${mesh.name}: ${JSON.stringify(changed)}\n${told.error}`)
      }
    })
    await fc.assert(property, parameters)
    // A generator of which validation takes nothing would prove nothing.
    expect(asked).toBeGreaterThan(RUNS / 10)
    console.info(`${RUNS} meshes, of which Envoy was asked about ${asked} proxies`)
  }, 3_600_000)
})
