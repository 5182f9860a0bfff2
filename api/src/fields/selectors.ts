import { z } from 'zod'

const LABEL_KEY =
  /^([a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)*\/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/
const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/

/** What is wrong with the name of a label; undefined when nothing is. */
export function labelKeyProblem(key: string): string | undefined {
  const slash = key.lastIndexOf('/')
  return LABEL_KEY.test(key) && key.length - slash - 1 <= 63 && slash <= 253
    ? undefined
    : `"${key}" is no label name: letters, digits, "-", "_" and ".", with an optional domain and "/" before it`
}

/** What is wrong with the value of a label; undefined when nothing is. */
export function labelValueProblem(value: string): string | undefined {
  return LABEL_VALUE.test(value) && value.length <= 63
    ? undefined
    : `"${value}" is no label value: at most 63 letters, digits, "-", "_" and "."`
}

/** A map of label names to values. */
export const labelsField = z.record(z.string(), z.string()).superRefine((labels, context) => {
  for (const [key, value] of Object.entries(labels)) {
    const message = labelKeyProblem(key) ?? labelValueProblem(value)
    if (message) context.addIssue({ code: 'custom', path: [key], message })
  }
})

const selected = labelsField.superRefine((labels, context) => {
  for (const [key, value] of Object.entries(labels)) {
    if (key.includes('*') || value.includes('*'))
      context.addIssue({ code: 'custom', path: [key], message: 'a selector takes no wildcards' })
  }
})

/** Selects workloads whose labels include all of these: policies' form. */
export const workloadSelectorField = z.strictObject({
  matchLabels: selected.optional().describe('Labels that the workload must have, all of them'),
})

/** Selects workloads whose labels include all of these: Sidecar's, ServiceEntry's and EnvoyFilter's form. */
export const labelsSelectorField = z.strictObject({
  labels: selected.optional().describe('All of these labels'),
})

export type WorkloadSelector = z.infer<typeof workloadSelectorField>

const KIND = /^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/
const GROUP = /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$/

/** What a policy may be attached to, as `group/kind`. */
const TARGETS: ReadonlySet<string> = new Set([
  '/Service',
  'core/Service',
  'networking.istio.io/ServiceEntry',
  'gateway.networking.k8s.io/Gateway',
  'gateway.networking.k8s.io/GatewayClass',
])

/** What a policy is attached to. */
export const policyTargetField = z
  .strictObject({
    group: z.string().max(253).regex(GROUP, 'must be an API group').optional().describe('Its API group'),
    kind: z.string().min(1).max(63).regex(KIND, 'must be a kind').describe('Its kind'),
    name: z.string().min(1, 'a name is needed').max(253).describe('Its name'),
    namespace: z.string().optional().describe("Must be left out: the policy's own"),
  })
  .superRefine((target, context) => {
    if (target.namespace)
      context.addIssue({
        code: 'custom',
        path: ['namespace'],
        message: 'a policy is attached to objects of its own namespace only: leave the namespace out',
      })
    if (!TARGETS.has(`${target.group ?? ''}/${target.kind}`))
      context.addIssue({
        code: 'custom',
        path: ['kind'],
        message: `${target.kind} of group "${target.group ?? ''}" is no target: a policy is attached to a Service, to a ServiceEntry (group networking.istio.io), or to a Gateway or GatewayClass (group gateway.networking.k8s.io)`,
      })
  })

export type PolicyTarget = z.infer<typeof policyTargetField>

/** The ways in which a policy says what it applies to; `checkAttachment` allows one of them. */
export const attachmentFields = {
  selector: workloadSelectorField
    .optional()
    .describe(
      'Workloads it holds for; without it, all of its namespace, or of the mesh in the root namespace',
    ),
  targetRef: policyTargetField.optional().describe('The older form of `targetRefs`, for one'),
  targetRefs: z
    .array(policyTargetField)
    .max(16, 'at most 16 targets')
    .optional()
    .describe('Gateways, Services or ServiceEntries of its namespace that it holds for'),
}

/** Allows one way of saying what a policy applies to. */
export function checkAttachment(
  spec: { selector?: unknown; targetRef?: unknown; targetRefs?: readonly unknown[] | undefined },
  context: z.RefinementCtx,
): void {
  const set = [
    ...(spec.selector === undefined ? [] : ['selector']),
    ...(spec.targetRef === undefined ? [] : ['targetRef']),
    ...(spec.targetRefs?.length ? ['targetRefs'] : []),
  ]
  if (set.length > 1)
    context.addIssue({
      code: 'custom',
      path: [set[1] ?? ''],
      message: 'only one of selector, targetRef, targetRefs can be set',
    })
}
