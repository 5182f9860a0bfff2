import {
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  isMessage,
  type JsonObject,
  type JsonValue,
  type Message,
} from '@bufbuild/protobuf'
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect'
import { type Any, AnySchema, anyUnpack, type Duration } from '@bufbuild/protobuf/wkt'
import { type FieldRules, KnownRegex, required, rules } from '../gen/validate/validate_pb.js'
import { envoyRegistry } from './any.ts'
import { codeMistake } from './code-rules.ts'
import { typedStruct } from './filter-kinds.ts'
import { type JsonMistake, messageFromJson } from './json.ts'

type Path = readonly (string | number)[]
type Rule = FieldRules['type']

/**
 * The first field of a message that Envoy would refuse for the rules in its own descriptors (those of
 * protoc-gen-validate) or in its code, down to the messages that it holds. `json` is what the message was read from: the
 * path names fields as they are written there.
 *
 * @param isPart the message is laid over another one: what it lacks is there already
 */
export function ruleMistake(
  type: DescMessage,
  message: Message,
  json: JsonValue,
  isPart: boolean,
): JsonMistake | undefined {
  if (isMessage(message, AnySchema)) return anyMistake(message, json, isPart)
  const reflected = reflect(type, message, false)
  for (const oneof of type.oneofs)
    if (!isPart && !reflected.oneofCase(oneof) && hasOption(oneof, required) && getOption(oneof, required)) {
      const names = oneof.fields.map(({ name }) => name).join(', ')
      return { path: [], reason: `${type.typeName} needs one of ${names}` }
    }
  for (const field of type.fields) {
    const mistake = fieldMistake(reflected, field, json, isPart)
    if (mistake) return mistake
  }
  const found = codeMistake(message, isPart)
  if (!found) return undefined
  const field = type.fields.find(({ name }) => name === found.field)
  return { path: [...(field ? [keyOf(field, json)] : []), ...found.path], reason: found.reason }
}

function anyMistake(message: Any, json: JsonValue, isPart: boolean): JsonMistake | undefined {
  const inner = anyUnpack(message, envoyRegistry())
  const struct = inner && typedStruct(inner)
  if (struct) return structMistake(struct, json, isPart)
  const type = inner && envoyRegistry().getMessage(inner.$typeName)
  return inner && type ? ruleMistake(type, inner, json, isPart) : undefined
}

/** What a structure that stands for another message would be refused for. */
function structMistake(
  { type: name, value }: NonNullable<ReturnType<typeof typedStruct>>,
  json: JsonValue,
  isPart: boolean,
): JsonMistake | undefined {
  const type = envoyRegistry().getMessage(name)
  const key = ['type_url', 'typeUrl'].find(one => valueAt(json, one) !== null) ?? 'type_url'
  if (!type) return { path: [key], reason: `this Envoy release has no message ${name}` }
  const read = messageFromJson(name, value)
  const mistake = read.ok ? ruleMistake(type, read.value, value, isPart) : read.error
  return mistake && { path: ['value', ...mistake.path], reason: mistake.reason }
}

function fieldMistake(
  holder: ReflectMessage,
  field: DescField,
  json: JsonValue,
  isPart: boolean,
): JsonMistake | undefined {
  const isSet = holder.isSet(field)
  const rule = hasOption(field, rules) ? getOption(field, rules) : undefined
  const key = keyOf(field, json)
  const at = (path: Path, reason: string): JsonMistake => ({ path: [key, ...path], reason })
  if (!isSet) {
    // Of a oneof, what was not chosen is not there.
    if (isPart || !rule || field.oneof) return undefined
    if (field.fieldKind === 'message')
      return isRequired(rule) ? { path: [], reason: `${field.name} is needed` } : undefined
  }
  const inside = valueAt(json, key)
  if (field.fieldKind === 'list') {
    const items = [...holder.get(field)]
    const reason = rule && countReason(rule.type, items.length)
    if (reason) return isSet ? at([], reason) : { path: [], reason: `${field.name} ${reason}` }
    for (const [index, item] of items.entries()) {
      const own = rule?.type.case === 'repeated' ? rule.type.value.items : undefined
      const mistake = valueMistake(field.message, item, own, valueAt(inside, index), false)
      if (mistake) return at([index, ...mistake.path], mistake.reason)
    }
    return undefined
  }
  if (field.fieldKind === 'map') {
    const entries = [...holder.get(field)]
    const reason = rule && countReason(rule.type, entries.length)
    if (reason) return isSet ? at([], reason) : { path: [], reason: `${field.name} ${reason}` }
    for (const [name, item] of entries) {
      const own = rule?.type.case === 'map' ? rule.type.value : undefined
      const mistake =
        valueMistake(undefined, name, own?.keys, null, false) ??
        valueMistake(field.message, item, own?.values, valueAt(inside, String(name)), false)
      if (mistake) return at([String(name), ...mistake.path], mistake.reason)
    }
    return undefined
  }
  const mistake = valueMistake(field.message, holder.get(field), rule, inside, isPart)
  if (!mistake) return undefined
  return isSet ? at(mistake.path, mistake.reason) : { path: [], reason: `${field.name} ${mistake.reason}` }
}

function valueMistake(
  type: DescMessage | undefined,
  value: unknown,
  rule: FieldRules | undefined,
  json: JsonValue,
  isPart: boolean,
): JsonMistake | undefined {
  const message = type ? (value as ReflectMessage).message : undefined
  const plain = message ? unwrapped(message) : value
  const reason = rule && reasonOf(rule.type, plain)
  if (reason) return { path: [], reason }
  if (!type || !message || rule?.message?.skip) return undefined
  return ruleMistake(type, message, json, isPart)
}

/** The value in a message that holds just one, such as `google.protobuf.UInt32Value`. */
function unwrapped(message: Message): unknown {
  return /^google\.protobuf\.\w+Value$/.test(message.$typeName) && 'value' in message
    ? (message as unknown as { value: unknown }).value
    : message
}

function isRequired({ message, type }: FieldRules): boolean {
  const holds = type.case === 'any' || type.case === 'duration' || type.case === 'timestamp'
  return Boolean(message?.required || (holds && type.value.required))
}

function countReason(rule: Rule, count: number): string | undefined {
  if (rule.case === 'repeated')
    return boundReason(count, Number(rule.value.minItems), limit(rule.value.maxItems), 'items')
  if (rule.case === 'map')
    return boundReason(count, Number(rule.value.minPairs), limit(rule.value.maxPairs), 'entries')
  return undefined
}

/** Zero, the value of a bound that is not set, bounds nothing. */
function limit(bound: bigint): number {
  return bound === 0n ? Number.POSITIVE_INFINITY : Number(bound)
}

function boundReason(count: number, least: number, most: number, what: string): string | undefined {
  if (count < least && least === 1) return 'must not be empty'
  if (count < least) return `needs ${least} ${what} at least`
  return count > most ? `takes ${most} ${what} at most` : undefined
}

function reasonOf(rule: Rule, value: unknown): string | undefined {
  switch (rule.case) {
    case 'string':
      return stringReason(rule.value, String(value))
    case 'bytes': {
      const { minLen, maxLen } = rule.value
      return boundReason((value as Uint8Array).length, Number(minLen), limit(maxLen), 'bytes')
    }
    case 'enum': {
      const { in: only, notIn } = rule.value
      if (only.length > 0 && !only.includes(value as number))
        return 'is none of the values that are taken here'
      return notIn.includes(value as number) ? 'is not taken here' : undefined
    }
    case 'bool':
      return rule.value.const !== value && isGiven(rule.value, 'const')
        ? `must be ${rule.value.const}`
        : undefined
    case 'duration':
      return durationReason(rule.value, value as Duration)
    case 'any': {
      const { in: only } = rule.value
      return only.length > 0 && !only.includes((value as Any).typeUrl)
        ? 'is of a type that is not taken here'
        : undefined
    }
    case 'uint32':
    case 'uint64':
    case 'int32':
    case 'int64':
    case 'float':
    case 'double':
      return numberReason(rule.value, value as number | bigint)
    default:
      return undefined
  }
}

/** Whether a rule's bound was set: the descriptors are proto2, where zero is a bound too. */
function isGiven(rule: object, name: string): boolean {
  return Object.hasOwn(rule, name)
}

interface NumberBounds {
  readonly lt?: number | bigint
  readonly lte?: number | bigint
  readonly gt?: number | bigint
  readonly gte?: number | bigint
  readonly ignoreEmpty?: boolean
}

function numberReason(rule: NumberBounds, value: number | bigint): string | undefined {
  if (rule.ignoreEmpty && Number(value) === 0) return undefined
  if (isGiven(rule, 'lt') && !(value < Number(rule.lt))) return `must be less than ${rule.lt}`
  if (isGiven(rule, 'lte') && !(value <= Number(rule.lte))) return `must be ${rule.lte} at most`
  if (isGiven(rule, 'gt') && !(value > Number(rule.gt))) return `must be more than ${rule.gt}`
  return isGiven(rule, 'gte') && !(value >= Number(rule.gte)) ? `must be ${rule.gte} at least` : undefined
}

interface DurationBounds {
  readonly lt?: Duration | undefined
  readonly lte?: Duration | undefined
  readonly gt?: Duration | undefined
  readonly gte?: Duration | undefined
}

function durationReason({ lt, lte, gt, gte }: DurationBounds, value: Duration): string | undefined {
  const s = secondsOf(value)
  if (lt && !(s < secondsOf(lt))) return `must be shorter than ${secondsOf(lt)}s`
  if (lte && !(s <= secondsOf(lte))) return `must be ${secondsOf(lte)}s at most`
  if (gt && !(s > secondsOf(gt))) return `must be longer than ${secondsOf(gt)}s`
  return gte && !(s >= secondsOf(gte)) ? `must be ${secondsOf(gte)}s at least` : undefined
}

function secondsOf({ seconds, nanos }: Duration): number {
  return Number(seconds) + nanos / 1e9
}

type StringRules = Extract<Rule, { case: 'string' }>['value']

function stringReason(rule: StringRules, value: string): string | undefined {
  if (rule.ignoreEmpty && value === '') return undefined
  const length = [...value].length
  const bytes = new TextEncoder().encode(value).length
  const { in: only, notIn, prefix, suffix, pattern } = rule
  if (only.length > 0 && !only.includes(value)) return `must be one of ${only.join(', ')}`
  if (notIn.includes(value)) return 'is not taken here'
  if (prefix && !value.startsWith(prefix)) return `must begin with ${prefix}`
  if (suffix && !value.endsWith(suffix)) return `must end in ${suffix}`
  if (pattern && !new RegExp(pattern, 'u').test(value)) return `must fit ${pattern}`
  return (
    boundReason(length, Number(rule.minLen), limit(rule.maxLen), 'characters') ??
    boundReason(bytes, Number(rule.minBytes), limit(rule.maxBytes), 'bytes') ??
    wellKnownReason(rule, value)
  )
}

/** What headers may be; `strict: false` forbids what would end a line only. */
const HEADERS: ReadonlyMap<KnownRegex, Readonly<Record<'strict' | 'loose', RegExp>>> = new Map([
  [KnownRegex.HTTP_HEADER_NAME, { strict: /^:?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+$/, loose: /^[^\u0000\n\r]*$/ }],
  [
    KnownRegex.HTTP_HEADER_VALUE,
    { strict: /^[^\u0000-\u0008\u000a-\u001f\u007f]*$/, loose: /^[^\u0000\n\r]*$/ },
  ],
])

function wellKnownReason({ wellKnown, strict }: StringRules, value: string): string | undefined {
  // Where a name must not be empty, its length says so.
  if (wellKnown.case !== 'wellKnownRegex' || value === '') return undefined
  const pattern = HEADERS.get(wellKnown.value)?.[strict ? 'strict' : 'loose']
  const what = wellKnown.value === KnownRegex.HTTP_HEADER_NAME ? 'name' : 'value'
  return pattern && !pattern.test(value) ? `is no ${what} of a header` : undefined
}

/** A field's name as it is written. */
function keyOf({ name, jsonName }: DescField, json: JsonValue): string {
  return typeof json === 'object' && json !== null && jsonName in json ? jsonName : name
}

function valueAt(json: JsonValue, key: string | number): JsonValue {
  return ((json as JsonObject | null)?.[key] ?? null) as JsonValue
}
