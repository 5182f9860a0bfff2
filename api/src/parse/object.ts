import { err, isRecord, ok, type Problem, type ResourceRef, type Result } from '@seine/kit'
import type { z } from 'zod'
import type { KindDefinition } from '../kind-definition.ts'
import { apiVersionOf, definitionOf, kindDefinitions } from '../kinds.ts'
import { serviceStatus } from '../kubernetes/service.ts'
import { podStatus } from '../kubernetes/workload.ts'
import type { MeshResource } from '../mesh-resource.ts'
import {
  CANARY_ANNOTATION,
  CANARY_REMOVAL_ANNOTATION,
  groupOf,
  type ObjectMeta,
  type Origin,
  refOf,
} from '../resource.ts'
import type { FieldPath, Findings } from '../rules.ts'
import { formatPath } from './field-path.ts'
import { describeIssue } from './issues.ts'
import { nearestField } from './known-fields.ts'
import { fieldsAt, type Schema, withDefaults } from './schema-walk.ts'
import { suggest } from './suggest.ts'
import { unsupported } from './unsupported.ts'

/** Istio's codes for what its validation refuses, and for what it warns of. */
const INVALID = 'IST0106'
const DOUBTFUL = 'IST0133'

/** Kinds whose names become parts of host names, and so hold no dots. */
const NAMED_BY_LABELS = new Set<string>(['Service', 'Namespace'])
const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/

/** Kinds of Kubernetes that often stand in the same files and mean nothing to the mesh. */
const OTHER_KINDS = new Set([
  'Role',
  'RoleBinding',
  'ClusterRole',
  'ClusterRoleBinding',
  'Ingress',
  'IngressClass',
  'NetworkPolicy',
  'PodDisruptionBudget',
  'HorizontalPodAutoscaler',
  'PersistentVolumeClaim',
  'PersistentVolume',
  'StorageClass',
  'CronJob',
  'ValidatingWebhookConfiguration',
  'PriorityClass',
  'ResourceQuota',
  'LimitRange',
  'Endpoints',
  'Event',
])

/** What became of one object: what it is, as far as it says so, and all that is wrong with it. */
export interface CheckedObject {
  readonly ref?: ResourceRef
  /**
   * The typed object, if its fields could be read. Where there are errors, it may break rules, and
   * use what is not supported yet: something to analyse, not to translate.
   */
  readonly resource?: MeshResource
  readonly problems: readonly Problem[]
}

/** Validates one parsed object by its API. The same check serves files, the CLI and Kubernetes. */
export function checkObject(input: unknown, origin?: Origin): CheckedObject {
  const report = new Reporter(origin)
  const head = readHead(input, report)
  const ref = report.resource ?? namedBy(input)
  const resource = head && readBody(head, report, origin)
  const problems = report.problems.sort(byPlace)
  return { ...(ref ? { ref } : {}), ...(resource ? { resource } : {}), problems }
}

/**
 * The same, of which only an object without errors is taken.
 *
 * @returns the typed resource with defaults filled in, or every problem with it.
 */
export function parseObject(input: unknown, origin?: Origin): Result<MeshResource, readonly Problem[]> {
  const { resource, problems } = checkObject(input, origin)
  return resource && !problems.some(({ severity }) => severity === 'error') ? ok(resource) : err(problems)
}

/** As they stand in the file; what has no place stays where it is found. */
function byPlace({ position: a }: Problem, { position: b }: Problem): number {
  return (a?.line ?? 0) - (b?.line ?? 0) || (a?.column ?? 0) - (b?.column ?? 0)
}

function readBody(
  { object, definition, metadata }: Head,
  report: Reporter,
  origin: Origin | undefined,
): MeshResource | undefined {
  const inSpec = definition.body === 'spec'
  const prefix = inSpec ? ['spec'] : []
  if (inSpec) report.unknownKeys(object, ['apiVersion', 'kind', 'metadata', 'spec', 'status'], definition)
  const body = withoutNulls(
    inSpec ? (object['spec'] ?? {}) : withoutEnvelope(object),
    AS_WRITTEN[definition.kind],
  )
  const parsed = definition.schema.safeParse(body)
  if (!parsed.success) report.issues(parsed.error.issues, prefix, definition.schema)
  const read: Salvaged | undefined = parsed.success
    ? { spec: parsed.data, issues: [] }
    : salvage(definition.schema, body, parsed.error.issues)
  const statusSchema = STATUSES[definition.kind]
  const status = statusSchema?.optional().safeParse(object['status'])
  if (statusSchema && status && !status.success) report.issues(status.error.issues, ['status'], statusSchema)
  if (!read) return undefined
  const { spec, issues } = read
  const apiVersion = String(object['apiVersion'])
  const isTold = (path: FieldPath) =>
    issues.some(issue => issue.path.length > 0 && issue.path.every((step, at) => step === path[at]))
  const findings: Findings = {
    error: (path, message) => {
      if (!isTold(path)) report.fail(INVALID, formatPath([...prefix, ...path]), message)
    },
    warn: (path, message) => {
      if (!isTold(path)) report.fail(DOUBTFUL, formatPath([...prefix, ...path]), message, 'warning')
    },
  }
  // The types of the schema have just been checked, which is what ties `kind` to the type of `spec`. A value that
  // is none of those there are is no case that rules know.
  if (issues.every(({ code }) => code !== 'invalid_value'))
    definition.rules?.(spec as never, findings, { ...metadata, apiVersion })
  const removal = metadata.annotations[CANARY_REMOVAL_ANNOTATION]
  if (removal !== undefined && (removal !== 'true' || metadata.annotations[CANARY_ANNOTATION] === undefined))
    report.fail(
      INVALID,
      'metadata.annotations',
      `${CANARY_REMOVAL_ANNOTATION} is "true" beside ${CANARY_ANNOTATION}, or is not there`,
    )
  for (const { path, message } of unsupported(definition, spec))
    report.fail('unsupported', path.length === 0 ? '' : formatPath([...prefix, ...path]), message)
  return {
    apiVersion,
    kind: definition.kind,
    metadata,
    spec,
    ...(object['status'] === undefined ? {} : { status: object['status'] }),
    ...(origin ? { origin } : {}),
  } as MeshResource
}

/** What is wrong with a field's value, not with its type: the object can be read. */
const OF_VALUES: ReadonlySet<string> = new Set([
  'custom',
  'too_big',
  'too_small',
  'invalid_format',
  'invalid_value',
  'not_multiple_of',
  'invalid_key',
])

interface Salvaged {
  readonly spec: unknown
  /** What is still wrong with it. */
  readonly issues: readonly z.core.$ZodIssue[]
}

/**
 * What can be read of a body that its schema refuses: without its unknown fields, and with values that are
 * wrong; undefined where the types are wrong. So the rest of the object is checked too, and analysis knows it.
 */
function salvage(
  schema: z.ZodType,
  body: unknown,
  issues: readonly z.core.$ZodIssue[],
): Salvaged | undefined {
  const known = structuredClone(body)
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue
    let at: unknown = known
    for (const step of issue.path) at = (at as Record<PropertyKey, unknown>)[step]
    for (const key of issue.keys) delete (at as Record<string, unknown>)[key]
  }
  const parsed = schema.safeParse(known)
  if (parsed.success) return { spec: parsed.data, issues: [] }
  const { issues: left } = parsed.error
  return left.every(({ code }) => OF_VALUES.has(code))
    ? { spec: withDefaults(schema, known), issues: left }
    : undefined
}

/** What is read of the status of an object, by kind. */
const STATUSES: Readonly<Partial<Record<string, typeof podStatus | typeof serviceStatus>>> = {
  Pod: podStatus,
  Service: serviceStatus,
}

/** Fields that hold another program's configuration, where null may mean something. */
const AS_WRITTEN: Readonly<Partial<Record<string, string>>> = {
  EnvoyFilter: 'value',
  WasmPlugin: 'pluginConfig',
}

/** A field that is null is the same as one that is not there, as for Kubernetes. */
function withoutNulls(value: unknown, asWritten: string | undefined): unknown {
  if (Array.isArray(value)) return value.map(item => withoutNulls(item, asWritten))
  if (!isRecord(value)) return value
  const entries = Object.entries(value).filter(([, inner]) => inner !== null)
  return Object.fromEntries(
    entries.map(([key, inner]) => [key, key === asWritten ? inner : withoutNulls(inner, asWritten)]),
  )
}

interface Head {
  readonly object: Record<string, unknown>
  readonly definition: KindDefinition
  readonly metadata: ObjectMeta
}

function readHead(input: unknown, report: Reporter): Head | undefined {
  if (!isRecord(input))
    return report.fail(INVALID, '', 'must be an object with apiVersion, kind, metadata and spec')
  const { apiVersion, kind } = input
  if (typeof kind !== 'string' || typeof apiVersion !== 'string') {
    return report.fail(
      INVALID,
      '',
      'apiVersion and kind are needed, for example "apiVersion: networking.istio.io/v1" and "kind: VirtualService"',
    )
  }
  const definition = findDefinition(apiVersion, kind, report)
  if (!definition) return undefined
  const metadata = readMetadata(input['metadata'], definition, report)
  if (!metadata) return undefined
  report.resource = refOf({ kind, apiVersion, metadata, spec: undefined })
  return { object: input, definition, metadata }
}

/** What an object of unknown kind calls itself. */
function namedBy(input: unknown): ResourceRef | undefined {
  const textIn = (object: unknown, key: string) => {
    const value = isRecord(object) ? object[key] : undefined
    return typeof value === 'string' ? value : ''
  }
  const metadata = isRecord(input) ? input['metadata'] : undefined
  const kind = textIn(input, 'kind')
  const [namespace, name] = [textIn(metadata, 'namespace'), textIn(metadata, 'name')]
  return kind === '' ? undefined : { kind, namespace, name }
}

function findDefinition(apiVersion: string, kind: string, report: Reporter): KindDefinition | undefined {
  const definition = definitionOf({ apiVersion, kind })
  if (!definition) {
    const [message, isOther] = unknownKind(apiVersion, kind)
    if (isOther) return report.fail('ignored-kind', 'kind', message, 'warning')
    return report.fail('unknown-kind', 'kind', message)
  }
  const supported = definition.versions.map(version => apiVersionOf({ ...definition, versions: [version] }))
  if (!supported.includes(apiVersion)) {
    return report.fail(
      'unknown-kind',
      'apiVersion',
      `${kind} is not known in ${apiVersion}; supported: ${supported.join(', ')}`,
    )
  }
  return definition
}

/** Kinds of the mesh's own groups that Seine does not have. */
const UNKNOWN_KINDS: ReadonlySet<string> = new Set([
  'gateway.networking.k8s.io/UDPRoute',
  'extensions.istio.io/TrafficExtension',
  'install.istio.io/IstioOperator',
])

/** What to say of a kind that the mesh does not know, and whether that is as it should be: kinds of others. */
function unknownKind(apiVersion: string, kind: string): [message: string, isOther: boolean] {
  const group = groupOf(apiVersion)
  const isMesh = group === 'gateway.networking.k8s.io' || group.endsWith('.istio.io')
  const isKubernetes = group.endsWith('.k8s.io') || !group.includes('.')
  const leftAlone: [string, boolean] = [`the mesh does not use ${kind}; it is left alone`, true]
  if (OTHER_KINDS.has(kind) || (!isMesh && !isKubernetes)) return leftAlone
  if (UNKNOWN_KINDS.has(`${group}/${kind}`)) return [`${kind} is not supported`, false]
  const elsewhere = kindDefinitions.find(one => one.kind === kind)
  if (elsewhere)
    return [`${kind} is not known in ${apiVersion}; supported: ${apiVersionOf(elsewhere)}`, false]
  const near = suggest(
    kind,
    kindDefinitions.map(one => one.kind),
  )
  if (!near && !isMesh) return leftAlone
  return [`there is no kind ${kind}${near ? `: did you mean ${near}?` : ''}`, false]
}

function readMetadata(input: unknown, definition: KindDefinition, report: Reporter): ObjectMeta | undefined {
  if (!isRecord(input) || typeof input['name'] !== 'string')
    return report.fail(INVALID, 'metadata.name', 'a name is needed')
  const name = input['name']
  const isLabel = NAMED_BY_LABELS.has(definition.kind)
  if (isLabel ? !LABEL.test(name) : !NAME.test(name) || name.length > 253) {
    report.fail(
      INVALID,
      'metadata.name',
      `"${name}" is no valid name: lower-case letters, digits${isLabel ? ' and "-"' : ', "-" and "."'}`,
    )
  }
  const namespace = definition.namespaced ? (input['namespace'] ?? 'default') : ''
  if (typeof namespace !== 'string') return report.fail(INVALID, 'metadata.namespace', 'must be a string')
  if (definition.namespaced && !LABEL.test(namespace)) {
    report.fail(
      INVALID,
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
  if (!isRecord(input)) return report.fail(INVALID, formatPath(path), 'must be a map of strings')
  for (const [key, value] of Object.entries(input)) {
    if (typeof value !== 'string')
      return report.fail(
        INVALID,
        formatPath([...path, key]),
        `must be a string: write "${String(value)}" in quotes`,
      )
  }
  return input as Record<string, string>
}

function isOwner(input: unknown): input is { kind: string; name: string } {
  return isRecord(input) && typeof input['kind'] === 'string' && typeof input['name'] === 'string'
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
      code,
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
          INVALID,
          formatPath([key]),
          `${definition.kind} has no field ${key}${didYouMean(suggest(key, known))}`,
        )
    }
  }

  issues(issues: readonly z.core.$ZodIssue[], prefix: readonly PropertyKey[], schema: Schema): void {
    // What else is wrong with one value mostly follows from the first.
    const told = new Set<string>()
    for (const issue of issues) {
      const path = formatPath([...prefix, ...issue.path])
      if (issue.code === 'unrecognized_keys') this.#unrecognized(issue, prefix, schema)
      else if (!told.has(path)) {
        told.add(path)
        this.fail(INVALID, path, describeIssue(issue))
      }
    }
  }

  #unrecognized(
    issue: z.core.$ZodIssueUnrecognizedKeys,
    prefix: readonly PropertyKey[],
    schema: Schema,
  ): void {
    const known = fieldsAt(schema, issue.path)
    for (const key of issue.keys)
      this.fail(
        INVALID,
        formatPath([...prefix, ...issue.path, key]),
        `there is no field "${key}" here${didYouMean(nearestField(key, known))}`,
      )
  }
}

function didYouMean(near: string | undefined): string {
  return near ? `: did you mean "${near}"?` : ''
}
