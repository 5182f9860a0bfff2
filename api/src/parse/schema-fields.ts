type Definition = Readonly<Record<string, unknown>>

/** What a zod schema is made of; empty for what is none. */
function definitionOf(schema: unknown): Definition {
  return (schema as { _zod?: { def?: Definition } } | undefined)?._zod?.def ?? {}
}

/** The schemas that one stands for: itself, what it wraps, and each of several. */
function unwrap(schema: unknown): readonly unknown[] {
  const { innerType, in: input, options } = definitionOf(schema)
  if (innerType ?? input) return unwrap(innerType ?? input)
  return Array.isArray(options) ? options.flatMap(unwrap) : [schema]
}

/** The names of the fields that an object may have at a place in a schema. */
export function fieldsAt(schema: unknown, path: readonly PropertyKey[]): string[] {
  const found = path.reduce<readonly unknown[]>(
    (schemas, step) =>
      schemas.flatMap(unwrap).flatMap(one => {
        const { shape, element, valueType } = definitionOf(one)
        if (element ?? valueType) return [element ?? valueType]
        const field = (shape as Record<PropertyKey, unknown> | undefined)?.[step]
        return field === undefined ? [] : [field]
      }),
    [schema],
  )
  return found
    .flatMap(unwrap)
    .flatMap(one => Object.keys((definitionOf(one)['shape'] as object | undefined) ?? {}))
}

/** The paths of all fields of a schema that hold no fields themselves; `*` stands for an index or a key. */
export function leafFields(schema: unknown, at: readonly string[] = []): string[][] {
  const found = unwrap(schema).flatMap(one => {
    const { shape, element, valueType } = definitionOf(one)
    if (element ?? valueType) return leafFields(element ?? valueType, [...at, '*'])
    if (!shape) return [[...at]]
    return Object.entries(shape).flatMap(([name, field]) => leafFields(field, [...at, name]))
  })
  return [...new Map(found.map(path => [path.join('.'), path])).values()]
}
