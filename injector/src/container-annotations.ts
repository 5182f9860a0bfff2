import { type AnnotationReader, SIDECAR } from './annotation-reader.ts'

/** What annotations say of the sidecar's container, beside what it captures. */
export interface ContainerAnnotations {
  readonly resources: ContainerResources | undefined
  readonly readiness: ReadinessTimes
  /** Volumes of the pod that the sidecar is to have, and where; as Kubernetes has them. */
  readonly volumes: readonly NamedObject[]
  readonly mounts: readonly NamedObject[]
  readonly levels: LogLevels
}

/** A container's `resources`, as Kubernetes has them. */
export interface ContainerResources {
  readonly requests?: Readonly<Record<string, string>>
  readonly limits?: Readonly<Record<string, string>>
}

/** How often the sidecar is asked whether it is ready; what is left out has the template's value. */
export interface ReadinessTimes {
  readonly initialDelaySeconds?: number
  readonly periodSeconds?: number
  readonly failureThreshold?: number
}

/** What is logged, in the words of those who log. */
export interface LogLevels {
  readonly envoy: string | undefined
  /** `<component>:<level>`, separated by commas. */
  readonly components: string | undefined
  readonly agent: string | undefined
}

export interface NamedObject {
  readonly name: string
}

const RESOURCES = {
  proxyCPU: ['requests', 'cpu'],
  proxyMemory: ['requests', 'memory'],
  proxyCPULimit: ['limits', 'cpu'],
  proxyMemoryLimit: ['limits', 'memory'],
} as const
/** An amount as Kubernetes writes it. */
const QUANTITY = /^\d+(\.\d+)?(m|[kMGTPE]|[KMGTPE]i)?$/
const READINESS = 'readiness.status.sidecar.istio.io'
const ENVOY_LEVELS = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off']
/** Istio's words for levels of the agent, and ours. */
const AGENT_LEVELS: Readonly<Record<string, string>> = {
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  fatal: 'fatal',
  none: 'silent',
}

/** Reads what annotations say of the sidecar's container. */
export function readContainer(reader: AnnotationReader): ContainerAnnotations {
  return {
    resources: resourcesOf(reader),
    readiness: readinessOf(reader),
    volumes: namedObjects(reader, `${SIDECAR}/userVolume`),
    mounts: namedObjects(reader, `${SIDECAR}/userVolumeMount`),
    levels: {
      envoy: reader.oneOf(`${SIDECAR}/logLevel`, ENVOY_LEVELS),
      components:
        reader
          .list(`${SIDECAR}/componentLogLevel`, isComponentLevel, '<component>:<level> of Envoy')
          .join(',') || undefined,
      agent: agentLevel(reader),
    },
  }
}

function resourcesOf(reader: AnnotationReader): ContainerResources | undefined {
  const resources: { requests?: Record<string, string>; limits?: Record<string, string> } = {}
  for (const [name, [kind, resource]] of Object.entries(RESOURCES)) {
    const amount = reader.checked(
      `${SIDECAR}/${name}`,
      text => QUANTITY.test(text),
      'an amount such as 100m or 128Mi',
    )
    if (amount !== undefined) resources[kind] = { ...resources[kind], [resource]: amount }
  }
  return resources.requests || resources.limits ? resources : undefined
}

function readinessOf(reader: AnnotationReader): ReadinessTimes {
  const count = (field: keyof ReadinessTimes, least: number): ReadinessTimes => {
    const valid = (text: string) => /^\d{1,9}$/.test(text) && Number(text) >= least
    const text = reader.checked(`${READINESS}/${field}`, valid, `a whole number of ${least} or more`)
    return text === undefined ? {} : { [field]: Number(text) }
  }
  return { ...count('initialDelaySeconds', 0), ...count('periodSeconds', 1), ...count('failureThreshold', 1) }
}

/** A list of objects with names, or a map of them by name: Istio's template takes the second and its documentation says the first. */
function namedObjects(reader: AnnotationReader, name: string): readonly NamedObject[] {
  const read = (value: unknown): readonly NamedObject[] | undefined => {
    if (!isObject(value)) return undefined
    const objects: unknown[] = Array.isArray(value)
      ? value
      : Object.entries(value).map(([key, one]) => (isObject(one) ? { name: key, ...one } : one))
    return objects.every(isNamed) ? objects : undefined
  }
  return reader.json(name, read, 'a JSON list of objects with names, or a map of objects') ?? []
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isNamed(value: unknown): value is NamedObject {
  return isObject(value) && 'name' in value && typeof value.name === 'string' && value.name !== ''
}

function isComponentLevel(text: string): boolean {
  const [component, level, ...rest] = text.split(':')
  return rest.length === 0 && /^[a-z_0-9]+$/.test(component ?? '') && ENVOY_LEVELS.includes(level ?? '')
}

/** Istio gives a level to each of its agent's parts; ours has one for all. */
function agentLevel(reader: AnnotationReader): string | undefined {
  const name = `${SIDECAR}/agentLogLevel`
  const wanted = `one of ${Object.keys(AGENT_LEVELS).join(', ')}, or default:<level>: the agent has one for all`
  const levelIn = (text: string) => AGENT_LEVELS[text.replace(/^(default|all):/, '')]
  const text = reader.checked(name, one => levelIn(one) !== undefined, wanted)
  return text === undefined ? undefined : levelIn(text)
}
