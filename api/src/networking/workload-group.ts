import { z } from 'zod'
import { labelsField } from '../fields/selectors.ts'
import { countField, oneOf, portField } from '../fields.ts'
import type { Resource } from '../resource.ts'
import { checkSocketPorts, workloadEntryFields } from './service-entry.ts'

const httpHeader = z.strictObject({
  name: z
    .string()
    .regex(/^[-_A-Za-z0-9]+$/, 'is no header name')
    .optional(),
  value: z.string().optional(),
})

/** Istio `ReadinessProbe`: how the agent finds out whether its workload can take requests. */
const probe = z
  .strictObject({
    initialDelaySeconds: countField.optional(),
    timeoutSeconds: countField.optional(),
    periodSeconds: countField.optional(),
    successThreshold: countField.optional(),
    failureThreshold: countField.optional(),
    httpGet: z
      .strictObject({
        path: z.string().optional(),
        port: portField,
        host: z.string().optional(),
        scheme: z.enum(['', 'HTTP', 'HTTPS']).optional(),
        httpHeaders: z.array(httpHeader).optional(),
      })
      .optional(),
    tcpSocket: z.strictObject({ host: z.string().optional(), port: portField }).optional(),
    exec: z.strictObject({ command: z.array(z.string().min(1)).min(1, 'needs a command') }).optional(),
    grpc: z.strictObject({ service: z.string().optional(), port: portField.optional() }).optional(),
  })
  .superRefine(oneOf(['httpGet', 'tcpSocket', 'exec', 'grpc'], true))

/** Istio `WorkloadGroup`: what machines of one kind have in common when they join the mesh. */
export const workloadGroupSpec = z.strictObject({
  metadata: z
    .strictObject({
      labels: labelsField.optional(),
      annotations: z.record(z.string(), z.string()).optional(),
    })
    .optional(),
  template: z.strictObject(workloadEntryFields).superRefine(checkSocketPorts),
  probe: probe.optional(),
})

export type WorkloadGroupSpec = z.infer<typeof workloadGroupSpec>
export type WorkloadGroup = Resource<'WorkloadGroup', WorkloadGroupSpec>
export type ReadinessProbe = z.infer<typeof probe>
