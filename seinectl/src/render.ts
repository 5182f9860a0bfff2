import type { JsonValue } from '@bufbuild/protobuf'
import { type EncodedResource, TypeUrl } from '@seine/envoy'
import { err, ok, type Problem, type Result } from '@seine/kit'
import { mixerPlugins } from '@seine/mixer-plugins'
import { MeshModel, type MeshSnapshot, type Workload } from '@seine/model'
import {
  BOOTSTRAP_PATCHES_TYPE,
  type Proxy as MeshProxy,
  type ProxyMetadata,
  parseProxy,
  renderProxy,
  resourceToJson,
} from '@seine/pilot-traffic'
import { type LoadOptions, loadFiles } from '@seine/source-files'
import { asDeployed } from './as-deployed.ts'
import { agentMetadata, ownSettings } from './proxies.ts'

/** Everything a proxy would receive, in Envoy's proto-JSON. */
export interface RenderedConfig {
  readonly listeners: readonly JsonValue[]
  readonly routes: readonly JsonValue[]
  readonly clusters: readonly JsonValue[]
  readonly endpoints: readonly JsonValue[]
  /** Configuration of filters that comes by itself (ECDS). */
  readonly extensions: readonly JsonValue[]
  /** What is changed in the bootstrap that Envoy starts with: parts of it, in the order in which they are merged. */
  readonly bootstrap: readonly JsonValue[]
}

/** A configuration, and what is wrong with the files it was made from. Broken objects are left out of it. */
export interface RenderOutput {
  readonly config: RenderedConfig
  readonly problems: readonly Problem[]
}

/**
 * Translates files to a proxy's configuration without a running mesh.
 *
 * @param proxyId `sidecar~<ip>~<workload>.<ns>~<ns>.svc.cluster.local`, where <ip> is IPv4 or IPv6
 * @param labels the workload's; without any, those of the pod or template of that name in the files
 * @param generator `grpc` for an application whose own gRPC library is its proxy
 * @returns the configuration, or why the proxy's id can't be understood
 */
export async function render(
  files: readonly string[],
  proxyId: string,
  labels: Readonly<Record<string, string>> | undefined,
  options: LoadOptions = {},
  generator: MeshProxy['generator'] = 'envoy',
): Promise<Result<RenderOutput, string>> {
  const { resources, problems } = await loadFiles(files, options)
  const { snapshot } = new MeshModel().apply({ upserts: asDeployed(resources), deletes: [] })
  const named = parseProxy(proxyId)
  if (!named.ok) return err(named.error)
  const proxy = parseProxy(
    proxyId,
    { ...metadataOf(named.value, snapshot, labels), GENERATOR: generator },
    false,
  )
  if (!proxy.ok) return err(proxy.error)
  const rendered = renderProxy(snapshot, proxy.value, mixerPlugins)
  const config = {
    listeners: toJson(TypeUrl.listener, rendered.listeners),
    routes: toJson(TypeUrl.route, rendered.routes),
    clusters: toJson(TypeUrl.cluster, rendered.clusters),
    endpoints: toJson(TypeUrl.endpoint, rendered.endpoints),
    extensions: toJson(TypeUrl.extension, rendered.extensions),
    bootstrap: toJson(BOOTSTRAP_PATCHES_TYPE, rendered.bootstrap),
  }
  return ok({ config, problems: [...problems, ...snapshot.problems, ...rendered.problems] })
}

/** What the agent beside the workload would say of itself, as far as the files tell: by its pod, or the one of its template. */
function metadataOf(
  proxy: MeshProxy,
  snapshot: MeshSnapshot,
  labels: Readonly<Record<string, string>> | undefined,
): ProxyMetadata {
  const workload = findWorkload(proxy, snapshot)
  // The id has room for one address.
  const isOwn = proxy.addresses.some(address => workload?.addresses.includes(address))
  return {
    NAMESPACE: proxy.namespace,
    ...(workload && isOwn ? { INSTANCE_IPS: workload.addresses.join(',') } : {}),
    LABELS: labels ?? workload?.labels ?? {},
    WORKLOAD_NAME: workload?.workloadName ?? proxy.name,
    SERVICE_ACCOUNT: workload?.serviceAccount ?? 'default',
    ...(workload ? ownSettings(workload) : {}),
    ...agentMetadata,
  }
}

function findWorkload(
  { name, namespace, addresses }: MeshProxy,
  snapshot: MeshSnapshot,
): Workload | undefined {
  const ofPod = snapshot.workloads.get(`${namespace}/${name}`)
  if (ofPod) return ofPod
  const ofName = [...snapshot.workloads.values()].filter(
    one => one.namespace === namespace && one.workloadName === name,
  )
  return ofName.find(one => one.addresses.some(address => addresses.includes(address))) ?? ofName[0]
}

function toJson(type: string, resources: readonly EncodedResource[]): JsonValue[] {
  return resources.map(resource => resourceToJson(type, resource))
}
