import type { z } from 'zod'

export type Schema = z.core.$ZodType
type Definition = z.core.$ZodTypes['_zod']['def']

/** A schema without what is wrapped around it, and the value that stands for a missing one. */
export function unwrap(schema: Schema): {
  readonly type: Schema
  readonly def: Definition
  readonly fallback: unknown
} {
  const { def } = schema._zod as { def: Definition }
  if ('innerType' in def) {
    const { type, def: innerDef, fallback } = unwrap(def.innerType)
    return { type, def: innerDef, fallback: 'defaultValue' in def ? def.defaultValue : fallback }
  }
  return def.type === 'pipe' ? unwrap(def.in) : { type: schema, def, fallback: undefined }
}

/** The fields that an object of a schema has at a path. */
export function fieldsAt(schema: Schema, path: readonly PropertyKey[]): readonly string[] {
  const { def } = unwrap(schema)
  const [step, ...rest] = path
  if (step === undefined) return def.type === 'object' ? Object.keys(def.shape) : []
  const within = inner(def, String(step))
  return within ? fieldsAt(within, rest) : []
}

function inner(def: Definition, step: string): Schema | undefined {
  if (def.type === 'array') return def.element
  if (def.type === 'record') return def.valueType
  return def.type === 'object' ? def.shape[step] : undefined
}

/** A value with the defaults of its schema, which may find fault with it. */
export function withDefaults(schema: Schema, value: unknown): unknown {
  const { def, fallback } = unwrap(schema)
  if (value === undefined)
    return fallback === undefined ? undefined : withDefaults(schema, structuredClone(fallback))
  if (Array.isArray(value))
    return def.type === 'array' ? value.map(item => withDefaults(def.element, item)) : value
  if (typeof value !== 'object' || value === null) return value
  const given = Object.entries(value).map(([name, field]) => {
    const within = inner(def, name)
    return [name, within ? withDefaults(within, field) : field] as const
  })
  const missing = def.type === 'object' ? Object.keys(def.shape).filter(name => !(name in value)) : []
  const added = missing.flatMap(name => {
    const filled = withDefaults(def.type === 'object' ? (def.shape[name] as Schema) : schema, undefined)
    return filled === undefined ? [] : [[name, filled] as const]
  })
  return Object.fromEntries([...given, ...added])
}

/** The names of all fields of some schemas. */
export function fieldNames(schemas: Iterable<Schema>): ReadonlySet<string> {
  const found = new Set<string>()
  const seen = new Set<Schema>()
  const collect = (schema: Schema): void => {
    const { type, def } = unwrap(schema)
    if (seen.has(type)) return
    seen.add(type)
    if (def.type === 'array') collect(def.element)
    else if (def.type === 'record') collect(def.valueType)
    else if (def.type === 'object')
      for (const [name, field] of Object.entries(def.shape)) {
        found.add(name)
        collect(field)
      }
  }
  for (const schema of schemas) collect(schema)
  return found
}

/** The paths of all fields of a schema that hold no fields themselves; `*` stands for an index or a key. */
export function leafFields(schema: Schema, at: readonly string[] = []): readonly (readonly string[])[] {
  const { def } = unwrap(schema)
  if (def.type === 'array') return leafFields(def.element, [...at, '*'])
  if (def.type === 'record') return leafFields(def.valueType, [...at, '*'])
  if (def.type !== 'object') return [at]
  return Object.entries(def.shape).flatMap(([name, field]) => leafFields(field, [...at, name]))
}
