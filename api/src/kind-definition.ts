import type { z } from 'zod'
import type { Kind } from './mesh-resource.ts'
import type { Rules } from './rules.ts'

/** What the parser, the CLI and the documentation need to know of a kind. */
export interface KindDefinition {
  readonly kind: Kind
  /** Empty for Kubernetes' core group. */
  readonly group: string
  readonly versions: readonly string[]
  readonly plural: string
  readonly shortNames: readonly string[]
  readonly namespaced: boolean
  /** The body lies under `spec`; else the object's own fields are the body. */
  readonly body: 'spec' | 'object'
  readonly schema: z.ZodType
  /** What the schema can't say; it takes the schema's output. */
  readonly rules?: Rules<never>
}
