import type { JsonObject } from '@bufbuild/protobuf'
import { create } from '@bufbuild/protobuf'
import type { Provenance } from '@seine/envoy'
import type { Metadata } from '@seine/envoy/envoy/config/core/v3/base'
import { MetadataSchema } from '@seine/envoy/envoy/config/core/v3/base'
import { causesIn, provenanceMetadata } from '../provenance-metadata.ts'
import type { Patch } from './patch.ts'

/** Notes which patches took hold while one resource is patched. */
export class Journal {
  readonly #applied = new Set<Patch>()

  /** Notes a patch if it did something. @returns whether it did. */
  note(patch: Patch, did: boolean): boolean {
    if (did) this.#applied.add(patch)
    return did
  }

  get applied(): ReadonlySet<Patch> {
    return this.#applied
  }

  get causes(): Provenance[] {
    return [...this.#applied].map(({ cause }) => cause)
  }
}

/** The metadata of a message with patches among its causes. */
export function withCauses(metadata: Metadata | undefined, patches: Iterable<Patch>): Metadata | undefined {
  const causes = [...patches].map(({ cause }) => cause)
  if (causes.length === 0) return metadata
  const before = metadata?.filterMetadata as Record<string, JsonObject> | undefined
  const filterMetadata = { ...before, ...provenanceMetadata([...causesIn(before), ...causes]) }
  return metadata ? { ...metadata, filterMetadata } : create(MetadataSchema, { filterMetadata })
}
