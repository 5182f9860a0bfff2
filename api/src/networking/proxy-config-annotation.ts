import { err, errorMessage, ok, type Result } from '@seine/kit'
import { parse } from 'yaml'
import { type OwnProxySettings, ownProxySettings } from '../mesh/proxy-settings.ts'
import { UNSUPPORTED_SETTINGS } from '../mesh/unsupported-settings.ts'
import { formatPath } from '../parse/field-path.ts'
import { describeIssue } from '../parse/issues.ts'

/** What only the mesh as a whole can be told. */
const OF_THE_MESH: Readonly<Record<string, string>> = {
  'tracing.zipkin': 'spans go over OTLP: leave it out',
}

/**
 * Reads the annotation `proxy.istio.io/config`, which is YAML in the words of Istio's MeshConfig.
 *
 * @returns what it says, or each thing wrong with it.
 */
export function parseProxyConfigAnnotation(text: string): Result<OwnProxySettings, readonly string[]> {
  let value: unknown
  try {
    value = parse(text, { logLevel: 'silent' }) ?? {}
  } catch (failure) {
    return err([errorMessage(failure).split('\n')[0] ?? ''])
  }
  const read = ownProxySettings.safeParse(value)
  if (read.success) return ok(read.data)
  return err(
    read.error.issues.flatMap(issue =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map(key => reasonAgainst(formatPath([...issue.path, key])))
        : `${formatPath(issue.path)}: ${describeIssue(issue)}`,
    ),
  )
}

function reasonAgainst(path: string): string {
  const reason = OF_THE_MESH[path] ?? UNSUPPORTED_SETTINGS[`defaultConfig.${path}`]
  return `${path}: ${reason ?? 'there is no setting of this name'}`
}
