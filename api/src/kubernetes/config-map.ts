import { z } from 'zod'
import type { Resource } from '../resource.ts'

/** Kubernetes `ConfigMap`: its body, which has no `spec`. */
export const configMapSpec = z.looseObject({ data: z.record(z.string(), z.string()).optional() })

export type ConfigMap = Resource<'ConfigMap', z.infer<typeof configMapSpec>>
