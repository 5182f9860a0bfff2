import { z } from 'zod'
import { workloadSelectorField } from '../fields/selectors.ts'
import type { Resource } from '../resource.ts'
import { type Rules, warnEmptySelector } from '../rules.ts'

/** How many threads Envoy's requests have. */
export const concurrencyField = z
  .int()
  .min(0, 'must be 0 (a thread for each core) or more')
  .max(0x7fffffff)
  .describe('How many threads Envoy has; 0 for one for each core, 2 unless it is said')

/** Names that the system and the shell take. */
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/

/** Variables of the environment of a proxy's container. */
export const environmentField = z
  .record(z.string().regex(VARIABLE, 'must be the name of a variable'), z.string().max(2048))
  .describe(
    "Variables of the container's environment. `ISTIO_META_<name>` becomes `<name>` in the node's metadata, which EnvoyFilters can ask for",
  )

/** Which image a proxy's container has. */
export const imageField = z.strictObject({
  imageType: z.string().optional().describe('`default`: there is one image'),
})

/** Why an image can't be had by its type; undefined for the one that there is. */
export function imageTypeProblem(imageType: string | undefined): string | undefined {
  return !imageType || imageType === 'default'
    ? undefined
    : `there is no image of the type ${imageType}: the annotation sidecar.istio.io/proxyImage of pods names another`
}

/** Istio `ProxyConfig`: settings of proxies that are taken when they start. */
export const proxyConfigSpec = z.strictObject({
  selector: workloadSelectorField
    .optional()
    .describe(
      'Workloads of its namespace that it is for; without it all of them, and in the root namespace all of the mesh',
    ),
  concurrency: concurrencyField.optional(),
  environmentVariables: environmentField.optional(),
  image: imageField.optional(),
})

export type ProxyConfigSpec = z.infer<typeof proxyConfigSpec>
export type ProxyConfig = Resource<'ProxyConfig', ProxyConfigSpec>

/** What Istio's validation warns of in a ProxyConfig. */
export const proxyConfigRules: Rules<ProxyConfigSpec> = (spec, findings) => {
  if (spec.selector) warnEmptySelector(spec.selector.matchLabels, ['selector'], findings)
}
