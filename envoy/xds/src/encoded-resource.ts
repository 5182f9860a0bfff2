import type { ResourceRef } from '@seine/kit'

/**
 * What a generated resource came from: a configuration object, and the field that shaped this part.
 * It travels with the resource so that `explain`, `diff` and the dashboard can name the cause.
 */
export interface Provenance extends ResourceRef {
  /** The field, as `spec.http[0]`; absent when the whole object is meant. */
  readonly path?: string
}

/**
 * One xDS resource, generated and serialised once and then shared by every proxy that gets it:
 * equal bytes have equal versions.
 */
export interface EncodedResource {
  readonly name: string
  /** A hash of `bytes`. */
  readonly version: string
  /** The serialised message, without its `Any` envelope. */
  readonly bytes: Uint8Array
  /** Other names this resource answers to (VHDS). */
  readonly aliases?: readonly string[]
  readonly provenance: readonly Provenance[]
  /** What people should know of it, in sentences. */
  readonly notes?: readonly string[]
}
