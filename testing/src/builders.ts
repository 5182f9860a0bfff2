import { type MeshResource, parseYaml } from '@seine/api'
import { formatProblem } from '@seine/kit'
import { MeshModel, type MeshSnapshot } from '@seine/model'
import { type Proxy as MeshProxy, type ProxyMetadata, parseProxy } from '@seine/pilot-traffic'

/** The resources in texts of YAML; throws when one of them is refused. */
export function resourcesOf(...texts: readonly string[]): MeshResource[] {
  const { resources, problems } = parseYaml(texts.join('\n---\n'), 'test.yaml')
  const errors = problems.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new Error(errors.map(formatProblem).join('\n'))
  return [...resources]
}

/** The same, with objects that are valid and use what is not supported yet. */
export function validResourcesOf(...texts: readonly string[]): MeshResource[] {
  const { objects } = parseYaml(texts.join('\n---\n'), 'test.yaml')
  const errors = objects
    .flatMap(({ problems }) => problems)
    .filter(({ severity, code }) => severity === 'error' && code !== 'unsupported')
  if (errors.length > 0) throw new Error(errors.map(formatProblem).join('\n'))
  return objects.flatMap(({ resource }) => resource ?? [])
}

/** The mesh that texts of YAML describe. What is wrong between the resources is in the snapshot's problems. */
export function meshOf(...texts: readonly string[]): MeshSnapshot {
  return meshOfResources(resourcesOf(...texts))
}

/** The mesh of some resources. */
export function meshOfResources(upserts: readonly MeshResource[]): MeshSnapshot {
  return new MeshModel().apply({ upserts, deletes: [] }).snapshot
}

/** What a test says of a proxy; the rest is what an agent beside it would say. */
export interface ProxyOptions {
  readonly address?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly metadata?: ProxyMetadata
  readonly virtualHostDiscovery?: boolean
}

/** The sidecar of a workload, by `name.namespace` or by `name` for namespace `default`. */
export function sidecar(workload: string, options: ProxyOptions = {}): MeshProxy {
  return proxyOf('sidecar', workload, options)
}

/** A workload at the mesh's edge, in the same way. */
export function router(workload: string, options: ProxyOptions = {}): MeshProxy {
  return proxyOf('router', workload, options)
}

function proxyOf(type: 'sidecar' | 'router', workload: string, options: ProxyOptions): MeshProxy {
  const fullName = workload.includes('.') ? workload : `${workload}.default`
  const domain = `${fullName.slice(fullName.indexOf('.') + 1)}.svc.cluster.local`
  const id = `${type}~${options.address ?? '10.1.0.99'}~${fullName}~${domain}`
  const metadata = { LABELS: options.labels ?? {}, ...options.metadata }
  const parsed = parseProxy(id, metadata, options.virtualHostDiscovery ?? true)
  if (!parsed.ok) throw new Error(parsed.error)
  return parsed.value
}

/** What of a service a test cares about. */
export interface ServiceOptions {
  readonly namespace?: string
  /** `None` for a headless one. */
  readonly clusterIP?: string
  readonly ports?: readonly PortOptions[]
  readonly selector?: Readonly<Record<string, string>>
}

/** A port of a service; the protocol is taken from its name. */
export interface PortOptions {
  readonly name: string
  readonly port: number
  readonly targetPort?: number | string
  readonly appProtocol?: string
}

/** YAML of a Kubernetes Service that selects `app: <name>` and has an HTTP port 80, unless told otherwise. */
export function serviceYaml(name: string, options: ServiceOptions = {}): string {
  const spec = {
    clusterIP: options.clusterIP ?? '10.96.0.10',
    selector: options.selector ?? { app: name },
    ports: options.ports ?? [{ name: 'http', port: 80 }],
  }
  return object('v1', 'Service', name, options.namespace, { spec })
}

/** What of a pod a test cares about. */
export interface PodOptions {
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly serviceAccount?: string
  readonly nodeName?: string
  /** Has a sidecar; so it is unless told otherwise. */
  readonly meshed?: boolean
  readonly ready?: boolean
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
}

/** YAML of a running pod at an address, labelled `app: <name>`. */
export function podYaml(name: string, address: string, options: PodOptions = {}): string {
  const meshed = options.meshed ?? true
  const labels = {
    app: name,
    ...(meshed ? { 'security.istio.io/tlsMode': 'istio' } : {}),
    ...options.labels,
  }
  const ready = (options.ready ?? true) ? 'True' : 'False'
  return object(
    'v1',
    'Pod',
    name,
    options.namespace,
    {
      spec: {
        serviceAccountName: options.serviceAccount ?? name,
        ...(options.nodeName ? { nodeName: options.nodeName } : {}),
        containers: [{ name: 'app', ports: options.ports ?? [] }],
      },
      status: { podIP: address, phase: 'Running', conditions: [{ type: 'Ready', status: ready }] },
    },
    labels,
  )
}

/** YAML of any object of a namespace, `default` unless told otherwise. JSON is YAML. */
export function objectYaml(apiVersion: string, kind: string, name: string, spec: unknown): string {
  const dot = name.indexOf('.')
  const [own, namespace] = dot < 0 ? [name, undefined] : [name.slice(0, dot), name.slice(dot + 1)]
  return object(apiVersion, kind, own, namespace, { spec })
}

function object(
  apiVersion: string,
  kind: string,
  name: string,
  namespace = 'default',
  body: object,
  labels: Readonly<Record<string, string>> = {},
): string {
  return JSON.stringify({ apiVersion, kind, metadata: { name, namespace, labels }, ...body })
}
