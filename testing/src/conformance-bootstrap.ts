import { type DescMessage, fromBinary, type JsonObject, type JsonValue, toJson } from '@bufbuild/protobuf'
import { envoyRegistry, TypeUrl } from '@seine/envoy'
import { SecretSchema } from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/secret'
import type { MeshSnapshot } from '@seine/model'
import { type Proxy as MeshProxy, TrafficGenerator } from '@seine/pilot-traffic'
import { staticBootstrap } from './envoy-static.ts'
import { mixerPlugins, renderJson } from './rendered.ts'
import type { IssuedPair } from './test-authority.ts'

/** Policy decides over requests; what telemetry adds does not. */
const PLUGINS = mixerPlugins.filter(({ name }) => name === 'authorization')
const ANY_PORT = { socketAddress: { address: '127.0.0.1', portValue: 0 } }
const PROXY_PROTOCOL = {
  name: 'envoy.filters.listener.proxy_protocol',
  typedConfig: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol',
  },
}
const ORIGINAL_DST = 'envoy.filters.listener.original_dst'

/** What a workload has of the mesh's certificate authority. */
export interface WorkloadCertificates {
  readonly own: IssuedPair
  readonly root: string
}

/**
 * A proxy's own configuration as one that runs on loopback, without capture rules and without a control plane: each
 * listener is bound to a free port and gets what was called from the PROXY protocol's header, which stands in the
 * place of the address before redirection; certificates stand in the bootstrap.
 */
export function runnableBootstrap(
  snapshot: MeshSnapshot,
  proxy: MeshProxy,
  certificates: WorkloadCertificates,
): JsonObject {
  const config = renderJson(snapshot, proxy, PLUGINS)
  const names = new Set<string>()
  const whole = staticBootstrap(config, value => withoutSds(value, names))
  const resources = whole['staticResources'] as JsonObject
  return {
    ...whole,
    admin: { address: ANY_PORT },
    staticResources: {
      ...resources,
      listeners: (resources['listeners'] as JsonObject[]).map(onLoopback),
      secrets: [...names].map(name => secretOf(snapshot, proxy, name, certificates)),
    },
  }
}

function onLoopback(listener: JsonObject): JsonObject {
  // What a Unix domain socket takes is not redirected.
  if ('pipe' in (listener['address'] as JsonObject)) return listener
  const { bindToPort: _bound, useOriginalDst: _original, additionalAddresses: _more, ...rest } = listener
  const filters = (rest['listenerFilters'] ?? []) as JsonObject[]
  return {
    ...rest,
    address: ANY_PORT,
    listenerFilters: [PROXY_PROTOCOL, ...filters.filter(({ name }) => name !== ORIGINAL_DST)],
  }
}

/** The value with secrets that the bootstrap holds, whose names are noted, in the place of such that an agent serves. */
function withoutSds(value: JsonValue, names: Set<string>): JsonValue {
  if (Array.isArray(value)) return value.map(one => withoutSds(one, names))
  if (typeof value !== 'object' || value === null) return value
  const { sdsConfig, ...rest } = value
  if (sdsConfig !== undefined) {
    names.add(String(rest['name']))
    return rest
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutSds(inner, names)]))
}

function secretOf(
  snapshot: MeshSnapshot,
  proxy: MeshProxy,
  name: string,
  { own, root }: WorkloadCertificates,
): JsonObject {
  if (name === 'ROOTCA') return { name, validationContext: { trustedCa: { inlineString: root } } }
  if (name === 'default') {
    const { certificate, key } = own
    return {
      name,
      tlsCertificate: { certificateChain: { inlineString: certificate }, privateKey: { inlineString: key } },
    }
  }
  const found = new TrafficGenerator(snapshot, PLUGINS)
    .configurationOf({ ...proxy, authenticated: true })
    .get(TypeUrl.secret, name)
  if (!found) throw new Error(`a listener refers to the secret ${name}, which is not there`)
  const schema: DescMessage = SecretSchema
  return toJson(schema, fromBinary(schema, found.bytes), { registry: envoyRegistry() }) as JsonObject
}
