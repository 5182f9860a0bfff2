import { z } from 'zod'
import type { Resource } from '../resource.ts'
import { groupField, kindField, namespaceField, objectNameField } from './common.ts'

/** Gateway API `ReferenceGrant`: who may refer to objects of this namespace from another. */
export const referenceGrantSpec = z.strictObject({
  from: z
    .array(z.strictObject({ group: groupField, kind: kindField, namespace: namespaceField }))
    .min(1, 'needs at least one entry')
    .max(16),
  to: z
    .array(z.strictObject({ group: groupField, kind: kindField, name: objectNameField.optional() }))
    .min(1, 'needs at least one entry')
    .max(16),
})

export type ReferenceGrantSpec = z.infer<typeof referenceGrantSpec>
export type ReferenceGrant = Resource<'ReferenceGrant', ReferenceGrantSpec>
