import { z } from 'zod'
import { workloadSelectorField } from '../fields/selectors.ts'
import type { Resource } from '../resource.ts'
import { type Rules, warnEmptySelector } from '../rules.ts'

/** Istio `ProxyConfig`: settings of proxies that are taken when they start. */
export const proxyConfigSpec = z.strictObject({
  selector: workloadSelectorField.optional(),
  concurrency: z.int().min(0, 'must be 0 (a thread for each core) or more').max(0x7fffffff).optional(),
  environmentVariables: z.record(z.string(), z.string().max(2048)).optional(),
  image: z.strictObject({ imageType: z.string().optional() }).optional(),
})

export type ProxyConfigSpec = z.infer<typeof proxyConfigSpec>
export type ProxyConfig = Resource<'ProxyConfig', ProxyConfigSpec>

/** What Istio's validation warns of in a ProxyConfig. */
export const proxyConfigRules: Rules<ProxyConfigSpec> = (spec, findings) => {
  if (spec.selector) warnEmptySelector(spec.selector.matchLabels, ['selector'], findings)
}
