import { toJson } from '@bufbuild/protobuf'
import { type EncodedResource, envoyRegistry } from '@seine/envoy'
import { hashBytes } from '../encode.ts'
import type { Patch } from './patch.ts'

/**
 * The type of what an agent asks for before it starts Envoy: one resource, whose bytes are JSON,
 * `{"patches": [{"operation": "MERGE", "value": {…}, "cause": {…}}]}`, the values parts of Envoy's bootstrap. The bootstrap itself
 * is the agent's: only it knows ports and paths.
 */
export const BOOTSTRAP_PATCHES_TYPE = 'type.googleapis.com/seine.bootstrap.v1.Patches'
/** The name of its only resource, which every proxy has. */
export const BOOTSTRAP_PATCHES = 'patches'

/** What patches change in a proxy's bootstrap; undefined where nothing. */
export function bootstrapPatches(patches: readonly Patch[]): EncodedResource | undefined {
  const own = patches.filter(({ applyTo }) => applyTo === 'BOOTSTRAP')
  return own.length === 0 ? undefined : encode(own)
}

/** For proxies whose bootstrap nothing changes. */
export const noBootstrapPatches: EncodedResource = encode([])

function encode(patches: readonly Patch[]): EncodedResource {
  const content = patches.map(({ operation, type, value, cause }) => ({
    operation,
    value: value && toJson(type, value, { registry: envoyRegistry() }),
    cause,
  }))
  const bytes = new TextEncoder().encode(JSON.stringify({ patches: content }))
  const provenance = patches.map(({ cause }) => cause)
  return { name: BOOTSTRAP_PATCHES, version: hashBytes(bytes), bytes, provenance }
}
