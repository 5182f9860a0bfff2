import { z } from 'zod'
import type { Resource } from '../resource.ts'

/** Kubernetes `ConfigMap`: its body, which has no `spec`. */
export const configMapSpec = z.looseObject({
  data: z.record(z.string(), z.string()).optional(),
  binaryData: z.record(z.string(), z.base64('must be in base64')).optional(),
})

export type ConfigMap = Resource<'ConfigMap', z.infer<typeof configMapSpec>>
