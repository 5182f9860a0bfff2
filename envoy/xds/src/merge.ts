import { clone, type DescMessage, fromBinary, type Message, toBinary } from '@bufbuild/protobuf'
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect'
import type { Any } from '@bufbuild/protobuf/wkt'
import { envoyRegistry } from './any.ts'

/** How a merge treats lists: what is merged comes after what is there, or in its place. */
export type Lists = 'append' | 'replace'

/** Messages that are one value: a merge takes the new one, and not some of its fields. */
const VALUES: ReadonlySet<string> = new Set([
  'google.protobuf.Duration',
  'google.protobuf.Timestamp',
  'google.protobuf.Any',
  'google.protobuf.Struct',
  'google.protobuf.Value',
  'google.protobuf.ListValue',
  ...['Bool', 'Int32', 'Int64', 'UInt32', 'UInt64', 'Float', 'Double', 'String', 'Bytes'].map(
    kind => `google.protobuf.${kind}Value`,
  ),
])

/**
 * Merges a message into another of its type, in place, as protobuf does: messages by their fields, map entries by
 * their keys, everything else by taking the new. The source stays as it is.
 */
export function mergeInto(
  type: DescMessage,
  target: Message,
  source: Message,
  lists: Lists = 'append',
): void {
  mergeFields(reflect(type, target), reflect(type, clone(type, source)), lists)
}

function mergeFields(target: ReflectMessage, source: ReflectMessage, lists: Lists): void {
  for (const field of source.fields) {
    if (!source.isSet(field)) continue
    if (field.fieldKind === 'list') {
      const list = target.get(field)
      if (lists === 'replace') list.clear()
      for (const item of source.get(field)) list.add(item)
    } else if (field.fieldKind === 'map') {
      const map = target.get(field)
      for (const [key, value] of source.get(field)) map.set(key, value)
    } else if (field.fieldKind === 'message' && target.isSet(field) && !VALUES.has(field.message.typeName))
      mergeFields(target.get(field), source.get(field), lists)
    else target.set(field, source.get(field))
  }
}

/** A message in an `Any` merged into another; one of another type takes its place. */
export function mergeAny(target: Any | undefined, source: Any, lists: Lists = 'append'): Any {
  const type = envoyRegistry().getMessage(source.typeUrl.slice(source.typeUrl.lastIndexOf('/') + 1))
  if (!type || target?.typeUrl !== source.typeUrl) return source
  const merged = fromBinary(type, target.value)
  mergeInto(type, merged, fromBinary(type, source.value), lists)
  return { ...target, value: toBinary(type, merged) }
}
