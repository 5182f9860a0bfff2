import {
  create,
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from '@bufbuild/protobuf'
import { base64Decode } from '@bufbuild/protobuf/wire'
import { type Any, AnySchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { descriptors } from '../gen/descriptors.js'

let registry: FileRegistry | undefined

/** Every message type of this Envoy release, for reading and printing `Any`. Made on first use. */
export function envoyRegistry(): FileRegistry {
  registry ??= createFileRegistry(fromBinary(FileDescriptorSetSchema, base64Decode(descriptors)))
  return registry
}

/** The type URL of a message type: `type.googleapis.com/envoy.config.cluster.v3.Cluster`. */
export function typeUrlOf(schema: DescMessage): string {
  return `type.googleapis.com/${schema.typeName}`
}

/** A message wrapped as `Any`, the form in which Envoy takes filter configuration. */
export function any<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Any {
  return create(AnySchema, { typeUrl: typeUrlOf(schema), value: toBinary(schema, create(schema, init)) })
}
