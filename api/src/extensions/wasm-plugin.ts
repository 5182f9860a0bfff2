import { z } from 'zod'
import { attachmentFields, checkAttachment } from '../fields/selectors.ts'
import { portField } from '../fields.ts'
import type { Resource } from '../resource.ts'
import { type Rules, warnEmptySelector } from '../rules.ts'

const environmentVariable = z
  .strictObject({
    name: z.string().min(1, 'a name is needed').max(256),
    valueFrom: z.enum(['INLINE', 'HOST']).optional(),
    value: z.string().max(2048).optional(),
  })
  .refine(({ valueFrom, value }) => valueFrom !== 'HOST' || !value, {
    path: ['value'],
    message: 'is taken from the host: leave it out',
  })

function uniqueBy<Item>(key: (item: Item) => string | number, field: string) {
  return (items: readonly Item[], context: z.RefinementCtx): void => {
    for (const [index, item] of items.entries())
      if (items.findIndex(other => key(other) === key(item)) < index)
        context.addIssue({ code: 'custom', path: [index, field], message: `${key(item)} is there twice` })
  }
}

function isModuleUrl(text: string): boolean {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text))
    return /^(oci|https?|file):\/\//i.test(text) && URL.canParse(text)
  return URL.canParse(`http://${text}`)
}

/** Istio `WasmPlugin`: a WebAssembly filter in Envoy. */
export const wasmPluginSpec = z
  .strictObject({
    ...attachmentFields,
    url: z
      .string()
      .min(1, 'is needed')
      .refine(
        isModuleUrl,
        'must begin with oci://, http://, https:// or file://, or be the name of an image',
      ),
    sha256: z
      .string()
      .regex(/^([a-f0-9]{64})?$/, 'must be 64 hexadecimal digits in lower case')
      .optional(),
    imagePullPolicy: z.enum(['UNSPECIFIED_POLICY', 'IfNotPresent', 'Always']).optional(),
    imagePullSecret: z.string().min(1).max(253).optional(),
    verificationKey: z.string().optional(),
    pluginConfig: z.record(z.string(), z.unknown()).optional(),
    pluginName: z.string().min(1).max(256).optional(),
    phase: z.enum(['UNSPECIFIED_PHASE', 'AUTHN', 'AUTHZ', 'STATS']).optional(),
    priority: z.int().min(-0x80000000).max(0x7fffffff).optional(),
    failStrategy: z.enum(['FAIL_CLOSE', 'FAIL_OPEN', 'FAIL_RELOAD']).optional(),
    vmConfig: z
      .strictObject({
        env: z
          .array(environmentVariable)
          .max(256)
          .superRefine(uniqueBy(({ name }) => name, 'name'))
          .optional(),
      })
      .optional(),
    match: z
      .array(
        z.strictObject({
          mode: z.enum(['UNDEFINED', 'CLIENT', 'SERVER', 'CLIENT_AND_SERVER']).optional(),
          ports: z
            .array(z.strictObject({ number: portField }))
            .superRefine(uniqueBy(({ number }) => number, 'number'))
            .optional(),
        }),
      )
      .optional(),
    type: z.enum(['UNSPECIFIED_PLUGIN_TYPE', 'HTTP', 'NETWORK']).optional(),
  })
  .superRefine(checkAttachment)

export type WasmPluginSpec = z.infer<typeof wasmPluginSpec>
export type WasmPlugin = Resource<'WasmPlugin', WasmPluginSpec>

/** What Istio's validation warns of in a WasmPlugin. */
export const wasmPluginRules: Rules<WasmPluginSpec> = (spec, findings) => {
  if (spec.selector) warnEmptySelector(spec.selector.matchLabels, ['selector'], findings)
}
