import { z } from 'zod'
import type { Resource } from '../resource.ts'

/** Kubernetes `Secret`: its body, which has no `spec`. Values of `data` are in base64. */
export const secretSpec = z.looseObject({
  type: z.string().optional(),
  data: z.record(z.string(), z.base64('must be in base64')).optional(),
  stringData: z.record(z.string(), z.string()).optional(),
})

export type Secret = Resource<'Secret', z.infer<typeof secretSpec>>
