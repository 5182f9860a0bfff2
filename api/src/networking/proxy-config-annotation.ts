import { err, errorMessage, ok, type Result } from '@seine/kit'
import { parse } from 'yaml'
import { z } from 'zod'
import { positiveDuration } from '../fields.ts'
import { proxySettings } from '../mesh/proxy-settings.ts'
import { UNSUPPORTED_SETTINGS } from '../mesh/unsupported-settings.ts'
import { formatPath } from '../parse/field-path.ts'
import { describeIssue } from '../parse/issues.ts'
import { concurrencyField, environmentField, imageField, imageTypeProblem } from './proxy-config.ts'

/** What a pod can say of its own proxy, in the words of Istio's MeshConfig. */
const schema = z.strictObject({
  concurrency: concurrencyField.optional(),
  proxyMetadata: environmentField.optional(),
  image: imageField
    .superRefine(({ imageType }, context) => {
      const message = imageTypeProblem(imageType)
      if (message) context.addIssue({ code: 'custom', path: ['imageType'], message })
    })
    .optional(),
  terminationDrainDuration: positiveDuration.optional(),
})

export type OwnProxyConfig = z.infer<typeof schema>

/** Reads the annotation `proxy.istio.io/config`, which is YAML. @returns what it says, or each thing wrong with it. */
export function parseProxyConfigAnnotation(text: string): Result<OwnProxyConfig, readonly string[]> {
  let value: unknown
  try {
    value = parse(text, { logLevel: 'silent' }) ?? {}
  } catch (failure) {
    return err([errorMessage(failure).split('\n')[0] ?? ''])
  }
  const read = schema.safeParse(value)
  if (read.success) return ok(read.data)
  return err(
    read.error.issues.flatMap(issue =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map(key => `${key}: ${reasonAgainst(key)}`)
        : `${formatPath(issue.path)}: ${describeIssue(issue)}`,
    ),
  )
}

function reasonAgainst(key: string): string {
  if (key in proxySettings.shape) return "is for the whole mesh here: write it into the mesh's defaultConfig"
  return UNSUPPORTED_SETTINGS[`defaultConfig.${key}`] ?? 'there is no setting of this name'
}
