import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
} from '@bufbuild/protobuf'
import { err, ok, type Result } from '@seine/kit'
import { envoyRegistry } from './any.ts'

/** Where JSON is no message, and why not. */
export interface JsonMistake {
  readonly path: readonly (string | number)[]
  readonly reason: string
}

/** The message type of this name; throws for one that this Envoy release does not have. */
export function messageType(typeName: string): DescMessage {
  const found = envoyRegistry().getMessage(typeName)
  if (!found) throw new Error(`this Envoy release has no message ${typeName}`)
  return found
}

/**
 * JSON, in Envoy's spelling of fields or in protobuf's, as a message of a type of this Envoy release.
 *
 * @returns the message, or the innermost place in it that is wrong.
 */
export function messageFromJson(typeName: string, json: JsonValue): Result<Message, JsonMistake> {
  const type = messageType(typeName)
  const failure = tryRead(type, json)
  if (typeof failure !== 'string') return ok(failure)
  return err(locate(type, json, failure))
}

function tryRead(type: DescMessage, json: JsonValue): Message | string {
  try {
    return fromJson(type, json, { registry: envoyRegistry() })
  } catch (failure) {
    return failure instanceof Error ? failure.message : String(failure)
  }
}

type Place = readonly [steps: readonly (string | number)[], type: DescMessage, value: JsonValue]

function locate(type: DescMessage, json: JsonValue, reason: string): JsonMistake {
  if (!isObject(json)) return { path: [], reason: plain(reason) }
  const inner = type.typeName === 'google.protobuf.Any' ? typeOfAny(json) : type
  if (typeof inner === 'string') return { path: ['@type'], reason: inner }
  const content = inner === type ? json : without(json, '@type')
  for (const [steps, at, value] of placesIn(inner, content)) {
    const failure = tryRead(at, value)
    if (typeof failure !== 'string') continue
    const { path, reason: own } = locate(at, value, failure)
    return { path: [...steps, ...path], reason: own }
  }
  for (const key of Object.keys(content)) {
    if (!fieldOf(inner, key)) return { path: [key], reason: `${inner.typeName} has no field ${key}` }
    const alone = tryRead(inner, { [key]: content[key] ?? null })
    if (typeof alone === 'string') return { path: [key], reason: plain(alone) }
  }
  return { path: [], reason: plain(reason) }
}

function typeOfAny(json: JsonObject): DescMessage | string {
  const url = json['@type']
  if (typeof url !== 'string') return 'needs the type of the message, such as type.googleapis.com/envoy.…'
  return (
    envoyRegistry().getMessage(url.slice(url.lastIndexOf('/') + 1)) ??
    `this Envoy release has no message ${url}`
  )
}

/** The messages that stand in fields of a message. */
function* placesIn(type: DescMessage, json: JsonObject): Iterable<Place> {
  for (const [key, value] of Object.entries(json)) {
    const field = fieldOf(type, key)
    if (field?.fieldKind === 'message') yield [[key], field.message, value]
    if (field?.fieldKind === 'list' && field.listKind === 'message' && Array.isArray(value))
      for (const [index, item] of value.entries()) yield [[key, index], field.message, item]
    if (field?.fieldKind === 'map' && field.mapKind === 'message' && isObject(value))
      for (const [name, item] of Object.entries(value)) yield [[key, name], field.message, item]
  }
}

function fieldOf(type: DescMessage, key: string): DescField | undefined {
  return type.fields.find(({ name, jsonName }) => name === key || jsonName === key)
}

function without(object: JsonObject, name: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => key !== name))
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The library's words without what a path says better. */
function plain(reason: string): string {
  return reason.replace(/^cannot decode (message|field) \S+ from JSON: /, '')
}
