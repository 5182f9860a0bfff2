import { z } from 'zod'
import type { Resource } from '../resource.ts'
import { groupField, kindField, namespaceField, objectNameField } from './common.ts'
import { GATEWAY_GROUP, listenersField } from './listener.ts'

/** Gateway API `ListenerSet`: more listeners for a Gateway that allows it. */
export const listenerSetSpec = z.strictObject({
  parentRef: z.strictObject({
    group: groupField.default(GATEWAY_GROUP),
    kind: kindField.default('Gateway'),
    name: objectNameField,
    namespace: namespaceField.optional(),
  }),
  listeners: listenersField,
})

export type ListenerSetSpec = z.infer<typeof listenerSetSpec>
export type ListenerSet = Resource<'ListenerSet', ListenerSetSpec>
