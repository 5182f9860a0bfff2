import { z } from 'zod'
import { oneOf } from '../fields.ts'

const regionFailover = z
  .strictObject({
    from: z.string().describe('The region whose endpoints fail'),
    to: z.string().describe('The region to go to then'),
  })
  .superRefine((failover, context) => {
    for (const end of ['from', 'to'] as const)
      if (/[/*]/.test(failover[end]))
        context.addIssue({
          code: 'custom',
          path: [end],
          message: 'must be a region, without zone and wildcard',
        })
    if (failover.from === failover.to)
      context.addIssue({ code: 'custom', path: ['to'], message: 'must be another region than from' })
  })

/** The labels of a node's place, which localities are made of. */
const TOPOLOGY_LABELS: ReadonlySet<string> = new Set([
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
])

/** What is wrong with localities of one list: they must not overlap, and a wildcard ends one. */
function localitiesProblem(localities: readonly string[]): { index: number; message: string } | undefined {
  for (const [index, locality] of localities.entries()) {
    if (locality.split('/').some(part => part === '') || locality.split('/').length > 3)
      return { index, message: 'must be region, region/zone or region/zone/subzone' }
    if (/\*./.test(locality)) return { index, message: 'a wildcard is "*" at the end' }
    const overlapping = localities
      .slice(0, index)
      .find(other => within(locality, other) || within(other, locality))
    if (overlapping !== undefined) return { index, message: `${locality} and ${overlapping} overlap` }
  }
  return undefined
}

/** Whether a locality lies in another; a region without zone is all of it, as `region/*` is. */
function within(inner: string, outer: string): boolean {
  const region = outer.replace(/\/?\*$/, '')
  return region === '' || inner === region || inner.startsWith(`${region}/`)
}

const distribution = z
  .strictObject({
    from: z.string().describe('Where the caller is: `region/zone/subzone`, with `*` at the end for the rest'),
    to: z
      .record(z.string(), z.int().min(1, 'a weight is 1 to 100').max(100, 'a weight is 1 to 100'))
      .describe('Shares of localities, 100 together'),
  })
  .superRefine(({ to }, context) => {
    const total = Object.values(to).reduce((sum, one) => sum + one, 0)
    if (total !== 100)
      context.addIssue({
        code: 'custom',
        path: ['to'],
        message: `the weights are ${total} together, and must be 100`,
      })
    const names = Object.keys(to)
    const problem = localitiesProblem(names)
    if (problem)
      context.addIssue({ code: 'custom', path: ['to', names[problem.index] ?? ''], message: problem.message })
  })

/** Istio `LocalityLoadBalancerSetting`. */
export const localityLbSetting = z
  .strictObject({
    distribute: z
      .array(distribution)
      .superRefine((all, context) => {
        const problem = localitiesProblem(all.map(({ from }) => from))
        if (problem)
          context.addIssue({ code: 'custom', path: [problem.index, 'from'], message: problem.message })
      })
      .optional()
      .describe('Shares by place'),
    failover: z.array(regionFailover).optional().describe('Where to when a region fails'),
    failoverPriority: z
      .array(z.string())
      .optional()
      .describe('Labels by which endpoints are preferred: those that share more of them with the caller'),
    enabled: z.boolean().optional().describe('Whether place counts'),
  })
  .superRefine(oneOf(['distribute', 'failover']))
  .superRefine(oneOf(['distribute', 'failoverPriority']))
  .superRefine(({ failover, failoverPriority }, context) => {
    const index = (failoverPriority ?? []).findIndex(label => TOPOLOGY_LABELS.has(label))
    if (failover?.length && index >= 0)
      context.addIssue({
        code: 'custom',
        path: ['failoverPriority', index],
        message: 'failover says what to do by place: leave this label or failover out',
      })
  })

export type LocalityLbSetting = z.infer<typeof localityLbSetting>

/** Istio `ZoneAwareLoadBalancerSetting`. */
export const zoneAwareLbSetting = z.strictObject({
  enabled: z.boolean().optional().describe('Whether place counts'),
  failover: z.array(regionFailover).optional().describe('Where to when a region fails'),
  failoverPriority: z
    .array(
      z
        .string()
        .refine(
          label => !TOPOLOGY_LABELS.has(label),
          'places are taken into account anyway: leave this label out',
        ),
    )
    .optional()
    .describe('Labels by which endpoints are preferred'),
  minClusterSize: z
    .int()
    .min(1, 'must be 1 or more')
    .optional()
    .describe('With fewer endpoints than this, zones do not count'),
})
