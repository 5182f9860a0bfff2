import { keyOf, type MeshResource } from '@seine/api'
import type { MeshSnapshot } from '@seine/model'
import type { ApiProxy, ApiProxyConfig, Certificate } from './api-types.ts'
import type { HubProxy, HubProxyConfig, HubResource } from './hub-inputs.ts'

/** The pod that a proxy runs in, as `namespace/pod`, from its node id: `sidecar~<ip>~<pod>.<namespace>~<domain>`. */
export function podOf({ id }: Pick<HubProxy, 'id'>): string {
  const full = id.split('~')[2] ?? ''
  const dot = full.lastIndexOf('.')
  return `${full.slice(dot + 1)}/${full.slice(0, dot)}`
}

/** A proxy with the workload that it belongs to. */
export function apiProxy(proxy: HubProxy, { workloads }: MeshSnapshot): ApiProxy {
  const { id, protocol, connectedAt, types } = proxy
  const key = podOf(proxy)
  const slash = key.indexOf('/')
  const [namespace, pod] = [key.slice(0, slash), key.slice(slash + 1)]
  return {
    id,
    workload: workloads.get(key)?.workloadName ?? pod,
    pod,
    namespace,
    ip: id.split('~')[1] ?? '',
    protocol,
    connectedAt,
    types,
  }
}

/** A proxy's configuration with the place that each source stands at. Secrets are named, never shown. */
export function apiProxyConfig(
  config: HubProxyConfig,
  resources: ReadonlyMap<string, MeshResource>,
  certificate: Certificate | undefined,
): ApiProxyConfig {
  const show = (list: readonly HubResource[]) =>
    list.map(one => ({ ...one, provenance: one.provenance.map(from => placed(from, resources)) }))
  const secrets = certificate
    ? [
        {
          name: 'default',
          version: certificate.serial,
          provenance: [],
          config: {
            identity: certificate.identity,
            serial: certificate.serial,
            notAfter: new Date(certificate.notAfter).toISOString(),
            privateKey: '[held by the agent]',
          },
        },
      ]
    : []
  return {
    listeners: show(config.listeners),
    routes: show(config.routes),
    clusters: show(config.clusters),
    endpoints: show(config.endpoints),
    extensions: show(config.extensions),
    secrets,
  }
}

function placed(from: HubResource['provenance'][number], resources: ReadonlyMap<string, MeshResource>) {
  const origin = resources.get(keyOf(from))?.origin
  if (!origin) return from
  const { file, line } = from.path ? origin.locate(from.path) : origin
  return { ...from, file, line }
}
