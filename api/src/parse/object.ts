import { err, ok, type Problem, type Result } from '@seine/kit'
import type { z } from 'zod'
import { findKind, type KindDefinition, kindDefinitions, type MeshResource } from '../kinds.ts'
import { podStatus } from '../kubernetes/workload.ts'
import type { ObjectMeta, Origin } from '../resource.ts'
import { formatPath } from './field-path.ts'
import { fieldsAt, leafFields } from './schema-fields.ts'
import { suggest } from './suggest.ts'
import { unsupportedFields } from './unsupported.ts'

/** Kinds whose names become parts of host names, and so hold no dots. */
const NAMED_BY_LABELS = new Set<string>(['Service', 'Namespace'])
const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/

/** Kinds that often stand in the same files and mean nothing to the mesh. */
const OTHER_KINDS = new Set([
  'Role',
  'RoleBinding',
  'ClusterRole',
  'ClusterRoleBinding',
  'CustomResourceDefinition',
  'Ingress',
  'IngressClass',
  'NetworkPolicy',
  'PodDisruptionBudget',
  'HorizontalPodAutoscaler',
  'PersistentVolumeClaim',
  'PersistentVolume',
  'StorageClass',
  'CronJob',
  'Job',
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
  'PriorityClass',
  'ResourceQuota',
  'LimitRange',
  'Endpoints',
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'Secret',
  'Node',
  'Event',
])

/**
 * Validates one parsed object. The same check serves files, the CLI and Kubernetes.
 *
 * @returns the typed resource with defaults filled in, or every problem with it.
 */
export function parseObject(input: unknown, origin?: Origin): Result<MeshResource, Problem[]> {
  const report = new Reporter(origin)
  const head = readHead(input, report)
  if (!head) return err(report.problems)
  const { object, definition, metadata } = head
  report.resource = { kind: definition.kind, namespace: metadata.namespace, name: metadata.name }
  const body = definition.body === 'spec' ? (object['spec'] ?? {}) : withoutEnvelope(object)
  const prefix = definition.body === 'spec' ? ['spec'] : []
  if (definition.body === 'spec')
    report.unknownKeys(object, ['apiVersion', 'kind', 'metadata', 'spec', 'status'], definition)
  const spec = definition.schema.safeParse(body)
  if (!spec.success) report.issues(spec.error.issues, definition.schema, prefix)
  else
    for (const { path, message } of unsupportedFields(definition.kind, spec.data))
      report.fail('unsupported', formatPath([...prefix, ...path]), message)
  const status = definition.kind === 'Pod' ? podStatus.optional().safeParse(object['status']) : undefined
  if (status && !status.success) report.issues(status.error.issues, podStatus, ['status'])
  if (report.problems.length > 0 || !spec.success) return err(report.problems)
  // The schema of the kind has just been checked, which is what ties `kind` to the type of `spec`.
  const resource = {
    apiVersion: String(object['apiVersion']),
    kind: definition.kind,
    metadata,
    spec: spec.data,
    ...(object['status'] === undefined ? {} : { status: object['status'] }),
    ...(origin ? { origin } : {}),
  } as MeshResource
  return ok(resource)
}

interface Head {
  readonly object: Record<string, unknown>
  readonly definition: KindDefinition
  readonly metadata: ObjectMeta
}

function readHead(input: unknown, report: Reporter): Head | undefined {
  if (!isObject(input))
    return report.fail('schema', '', 'must be an object with apiVersion, kind, metadata and spec')
  const { apiVersion, kind } = input
  if (typeof kind !== 'string' || typeof apiVersion !== 'string') {
    return report.fail(
      'schema',
      '',
      'apiVersion and kind are needed, for example "apiVersion: networking.istio.io/v1" and "kind: VirtualService"',
    )
  }
  const definition = findDefinition(apiVersion, kind, report)
  if (!definition) return undefined
  const metadata = readMetadata(input['metadata'], definition, report)
  return metadata && { object: input, definition, metadata }
}

function findDefinition(apiVersion: string, kind: string, report: Reporter): KindDefinition | undefined {
  const definition = findKind(kind)
  if (definition?.kind !== kind) {
    if (OTHER_KINDS.has(kind))
      return report.fail('ignored-kind', 'kind', `the mesh does not use ${kind}; it is left alone`, 'warning')
    const near = suggest(
      kind,
      kindDefinitions.map(one => one.kind),
    )
    return report.fail(
      'unknown-kind',
      'kind',
      `there is no kind ${kind}${near ? `: did you mean ${near}?` : ''}`,
    )
  }
  const supported = definition.versions.map(version =>
    definition.group === '' ? version : `${definition.group}/${version}`,
  )
  if (!supported.includes(apiVersion)) {
    return report.fail(
      'unknown-kind',
      'apiVersion',
      `${kind} is not known in ${apiVersion}; supported: ${supported.join(', ')}`,
    )
  }
  return definition
}

function readMetadata(input: unknown, definition: KindDefinition, report: Reporter): ObjectMeta | undefined {
  if (!isObject(input) || typeof input['name'] !== 'string')
    return report.fail('schema', 'metadata.name', 'a name is needed')
  const name = input['name']
  const isLabel = NAMED_BY_LABELS.has(definition.kind)
  if (isLabel ? !LABEL.test(name) : !NAME.test(name) || name.length > 253) {
    return report.fail(
      'schema',
      'metadata.name',
      `"${name}" is no valid name: lower-case letters, digits${isLabel ? ' and "-"' : ', "-" and "."'}`,
    )
  }
  const namespace = definition.namespaced ? (input['namespace'] ?? 'default') : ''
  if (typeof namespace !== 'string') return report.fail('schema', 'metadata.namespace', 'must be a string')
  if (definition.namespaced && !LABEL.test(namespace)) {
    return report.fail(
      'schema',
      'metadata.namespace',
      `"${namespace}" is no valid namespace: lower-case letters, digits and "-"`,
    )
  }
  const labels = stringMap(input['labels'], ['metadata', 'labels'], report)
  const annotations = stringMap(input['annotations'], ['metadata', 'annotations'], report)
  if (!labels || !annotations) return undefined
  return {
    name,
    namespace,
    labels,
    annotations,
    ...(typeof input['creationTimestamp'] === 'string'
      ? { creationTimestamp: input['creationTimestamp'] }
      : {}),
    ...(typeof input['resourceVersion'] === 'string' ? { resourceVersion: input['resourceVersion'] } : {}),
    ...(typeof input['generation'] === 'number' ? { generation: input['generation'] } : {}),
    ...(Array.isArray(input['ownerReferences'])
      ? { ownerReferences: input['ownerReferences'].filter(isOwner) }
      : {}),
  }
}

function stringMap(
  input: unknown,
  path: readonly string[],
  report: Reporter,
): Record<string, string> | undefined {
  if (input === undefined || input === null) return {}
  if (!isObject(input)) return report.fail('schema', formatPath(path), 'must be a map of strings')
  for (const [key, value] of Object.entries(input)) {
    if (typeof value !== 'string')
      return report.fail(
        'schema',
        formatPath([...path, key]),
        `must be a string: write "${String(value)}" in quotes`,
      )
  }
  return input as Record<string, string>
}

function isOwner(input: unknown): input is { kind: string; name: string } {
  return isObject(input) && typeof input['kind'] === 'string' && typeof input['name'] === 'string'
}

function isObject(input: unknown): input is Record<string, unknown> {
  return typeof input === 'object' && input !== null && !Array.isArray(input)
}

function withoutEnvelope(object: Record<string, unknown>): Record<string, unknown> {
  const { apiVersion: _version, kind: _kind, metadata: _metadata, status: _status, ...body } = object
  return body
}

/** Collects problems about one object, each with its position. */
class Reporter {
  readonly problems: Problem[] = []
  resource: Problem['resource']
  readonly #origin: Origin | undefined

  constructor(origin: Origin | undefined) {
    this.#origin = origin
  }

  fail(code: string, path: string, message: string, severity: Problem['severity'] = 'error'): undefined {
    this.problems.push({
      severity,
      code: code === 'schema' ? 'IST0106' : code,
      message,
      ...(this.resource ? { resource: this.resource } : {}),
      ...(path === '' ? {} : { path }),
      ...(this.#origin ? { position: this.#origin.locate(path) } : {}),
    })
    return undefined
  }

  unknownKeys(object: Record<string, unknown>, known: readonly string[], definition: KindDefinition): void {
    for (const key of Object.keys(object)) {
      if (!known.includes(key))
        this.fail(
          'schema',
          formatPath([key]),
          `${definition.kind} has no field ${key}${didYouMean(key, known)}`,
        )
    }
  }

  issues(issues: readonly z.core.$ZodIssue[], schema: z.ZodType, prefix: readonly PropertyKey[]): void {
    for (const issue of issues) {
      if (issue.code === 'unrecognized_keys') this.#unrecognized(issue, fieldsAt(schema, issue.path), prefix)
      else this.fail('schema', formatPath([...prefix, ...issue.path]), describe(issue))
    }
  }

  #unrecognized(
    issue: z.core.$ZodIssueUnrecognizedKeys,
    fitting: readonly string[],
    prefix: readonly PropertyKey[],
  ): void {
    for (const key of issue.keys)
      this.fail(
        'schema',
        formatPath([...prefix, ...issue.path, key]),
        `there is no field "${key}" here${didYouMean(key, fitting)}`,
      )
  }
}

/** The names of all fields of all kinds: a misplaced field is nearly always one of them. */
const knownFields = new Set(kindDefinitions.flatMap(({ schema }) => leafFields(schema).flat()))

/** The nearest of the names that fit here, else of all. */
function didYouMean(key: string, fitting: readonly string[]): string {
  const near = suggest(key, fitting) ?? (knownFields.has(key) ? undefined : suggest(key, knownFields))
  return near ? `: did you mean "${near}"?` : ''
}

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type')
    return issue.input === undefined && issue.message.includes('undefined')
      ? 'is needed'
      : `must be ${article(issue.expected)}`
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.map(String).join(', ')}`
  return issue.message
}

function article(expected: string): string {
  return /^[aeiou]/.test(expected) ? `an ${expected}` : `a ${expected}`
}
