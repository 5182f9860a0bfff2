import { z } from 'zod'
import { labelSelectorField } from '../gateway/common.ts'
import type { Resource } from '../resource.ts'

/** Kubernetes `Node`: where pods run. Its labels tell its region and zone. */
export const nodeSpec = z.looseObject({})

export type Node = Resource<'Node', z.infer<typeof nodeSpec>>

/** Kubernetes `CustomResourceDefinition`: what analysis reads of it. */
export const customResourceDefinitionSpec = z.looseObject({
  group: z.string(),
  names: z.looseObject({ kind: z.string(), plural: z.string() }),
})

export type CustomResourceDefinition = Resource<
  'CustomResourceDefinition',
  z.infer<typeof customResourceDefinitionSpec>
>

const webhook = z.looseObject({
  name: z.string(),
  namespaceSelector: labelSelectorField.optional(),
  objectSelector: labelSelectorField.optional(),
  clientConfig: z.looseObject({
    url: z.string().optional(),
    service: z.looseObject({ namespace: z.string(), name: z.string() }).optional(),
  }),
})

/** Kubernetes `MutatingWebhookConfiguration`: its body, which has no `spec`; what analysis reads of it. */
export const mutatingWebhookSpec = z.looseObject({ webhooks: z.array(webhook).optional() })

export type MutatingWebhookConfiguration = Resource<
  'MutatingWebhookConfiguration',
  z.infer<typeof mutatingWebhookSpec>
>
