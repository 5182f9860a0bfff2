import { z } from 'zod'
import { labelsField } from '../fields/selectors.ts'
import { countField, oneOf, portField } from '../fields.ts'
import type { Resource } from '../resource.ts'
import { checkSocketPorts, workloadEntryFields } from './service-entry.ts'

const httpHeader = z.strictObject({
  name: z
    .string()
    .regex(/^[-_A-Za-z0-9]+$/, 'is no header name')
    .optional()
    .describe('Its name; `Host` says which host is asked for'),
  value: z.string().optional().describe('Its value'),
})

const LOCAL = 'the workload itself, `localhost`, unless it is said'

/** Istio `ReadinessProbe`: how the agent finds out whether its workload can take requests. */
const probe = z
  .strictObject({
    initialDelaySeconds: countField
      .optional()
      .describe('How long after its start the workload is first asked'),
    timeoutSeconds: countField.optional().describe('How long an answer may take; 1 unless it is said'),
    periodSeconds: countField
      .optional()
      .describe('How often it is asked; every 10 seconds unless it is said'),
    successThreshold: countField
      .optional()
      .describe('How many good answers in a row make it healthy; 1 unless it is said'),
    failureThreshold: countField
      .optional()
      .describe('How many bad answers in a row make a healthy one unhealthy; 3 unless it is said'),
    httpGet: z
      .strictObject({
        path: z.string().optional().describe('The path, with its query; `/` unless it is said'),
        port: portField.describe('The port'),
        host: z.string().optional().describe(`Where to connect to; ${LOCAL}`),
        scheme: z
          .enum(['', 'HTTP', 'HTTPS'])
          .optional()
          .describe('`HTTP` unless it is said; with `HTTPS`, any certificate is taken'),
        httpHeaders: z.array(httpHeader).optional().describe('Headers of the request'),
      })
      .optional()
      .describe('A status from 200 to 399 is good; redirects are not followed'),
    tcpSocket: z
      .strictObject({
        host: z.string().optional().describe(`Where to connect to; ${LOCAL}`),
        port: portField.describe('The port'),
      })
      .optional()
      .describe('A connection that opens is good'),
    exec: z
      .strictObject({
        command: z
          .array(z.string().min(1))
          .min(1, 'needs a command')
          .describe('The program and its arguments; no shell reads them'),
      })
      .optional()
      .describe(
        'A program that ends with 0 is good. It runs on the machine, as the agent does: the agent runs it only where its environment says `ALLOW_EXEC_PROBES=true`, and reports the workload as unhealthy where it does not',
      ),
    grpc: z
      .strictObject({
        service: z
          .string()
          .optional()
          .describe('The service that is asked about; the server as a whole unless it is said'),
        port: portField.optional().describe('The port, which has to be said'),
      })
      .optional()
      .describe('`SERVING`, by `grpc.health.v1`, is good'),
  })
  .superRefine(oneOf(['httpGet', 'tcpSocket', 'exec', 'grpc'], true))
  .superRefine(({ grpc }, context) => {
    if (grpc && grpc.port === undefined)
      context.addIssue({ code: 'custom', path: ['grpc', 'port'], message: 'is needed: which port to ask' })
  })

/** Istio `WorkloadGroup`: what machines of one kind have in common when they join the mesh. */
export const workloadGroupSpec = z.strictObject({
  metadata: z
    .strictObject({
      labels: labelsField
        .optional()
        .describe("Labels of the entries; they come before the template's, and a machine's own before them"),
      annotations: z.record(z.string(), z.string()).optional().describe('Annotations of the entries'),
    })
    .optional()
    .describe('What the WorkloadEntries of the group get'),
  template: z
    .strictObject(workloadEntryFields)
    .superRefine(checkSocketPorts)
    .describe(
      'What each WorkloadEntry is made from. Only workloads whose token is of its `serviceAccount` (`default` unless it is said) and of the namespace of the group may register. What an agent says of its network and its place comes before `network` and `locality`',
    ),
  probe: probe
    .optional()
    .describe(
      'How the agent of a workload that has registered finds out whether it can take requests. With a probe, a workload gets none before the first good answer, nor while its agent is not ready',
    ),
})

export type WorkloadGroupSpec = z.infer<typeof workloadGroupSpec>
export type WorkloadGroup = Resource<'WorkloadGroup', WorkloadGroupSpec>
export type ReadinessProbe = z.infer<typeof probe>
