import { any, type EncodedResource, type Provenance, typeUrlOf } from '@seine/envoy'
import { TrafficDirection } from '@seine/envoy/envoy/config/core/v3/base'
import { ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'
import { HTTPFaultSchema } from '@seine/envoy/envoy/extensions/filters/http/fault/v3/fault'
import { RBACSchema } from '@seine/envoy/envoy/extensions/filters/http/rbac/v3/rbac'
import { RouterSchema } from '@seine/envoy/envoy/extensions/filters/http/router/v3/router'
import { HttpConnectionManagerSchema } from '@seine/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager'
import { inboundMtls, type MeshService, type MeshSnapshot, TLS_MODE_LABEL } from '@seine/model'
import { encode } from '../encode.ts'
import { listeningOn } from '../listeners/listening.ts'
import type { HttpFilterInit, TrafficPlugin } from '../plugin.ts'
import { provenanceField } from '../provenance-metadata.ts'
import type { Proxy } from '../proxy.ts'
import { hostPort, routeTableName, SERVER_LISTENER_PREFIX } from './names.ts'
import { serverTlsSocket } from './transport-security.ts'

const ROUTER: HttpFilterInit = typed('envoy.filters.http.router', any(RouterSchema, {}))
const FAULT: HttpFilterInit = typed('envoy.filters.http.fault', any(HTTPFaultSchema, {}))

function typed(name: string, config: ReturnType<typeof any>): HttpFilterInit {
  return { name, configType: { case: 'typedConfig', value: config } }
}

/**
 * What a gRPC client gets for `xds:///<written>:<port>`: where the routes of the host are. The name is the one that was
 * asked for, of which there are several for one host.
 */
export function clientListener(
  written: string,
  host: string,
  port: number,
  service: MeshService | undefined,
): EncodedResource {
  const name = hostPort(written, port)
  const causes: Provenance[] = service ? [service.ref] : []
  const manager = any(HttpConnectionManagerSchema, {
    routeSpecifier: {
      case: 'rds',
      value: {
        routeConfigName: routeTableName(host, port),
        configSource: { resourceApiVersion: 2, configSourceSpecifier: { case: 'ads', value: {} } },
      },
    },
    httpFilters: [FAULT, ROUTER],
  })
  return encode(
    ListenerSchema,
    name,
    { name, apiListener: { apiListener: manager }, ...provenanceField(causes) },
    causes,
  )
}

/** What a gRPC server's listener is made from. */
export interface ServerInputs {
  readonly snapshot: MeshSnapshot
  readonly proxy: Proxy
  readonly plugins: readonly TrafficPlugin[]
}

/**
 * What a gRPC server gets that listens on an address: whether it takes mutual TLS, and which calls it lets in. A server
 * takes one of plaintext and mutual TLS: under PERMISSIVE it is the one that its label says to clients, as in Istio.
 */
export function serverListener(
  { snapshot, proxy, plugins }: ServerInputs,
  address: string,
  port: number,
): EncodedResource {
  const mtls = inboundMtls(snapshot, proxy)
  const mode = mtls.modeOf(port)
  const secure = mode === 'STRICT' || (mode === 'PERMISSIVE' && proxy.labels[TLS_MODE_LABEL] === 'istio')
  const judged = authorization({ snapshot, proxy, plugins }, port, secure)
  const causes: Provenance[] = [
    ...mtls.policies.map(({ kind, metadata }) => ({
      kind,
      namespace: metadata.namespace,
      name: metadata.name,
      path: 'spec.mtls',
    })),
    ...judged.provenance,
  ]
  const name = SERVER_LISTENER_PREFIX + hostPort(address, port)
  const manager = any(HttpConnectionManagerSchema, {
    routeSpecifier: {
      case: 'routeConfig',
      value: {
        name: 'inbound',
        virtualHosts: [
          {
            name: 'inbound',
            domains: ['*'],
            ...provenanceField(causes),
            routes: [
              {
                name: 'default',
                match: { pathSpecifier: { case: 'prefix', value: '/' } },
                action: { case: 'nonForwardingAction', value: {} },
                ...provenanceField(causes),
              },
            ],
          },
        ],
      },
    },
    httpFilters: [...judged.filters, ROUTER],
  })
  const chain = {
    name: secure ? 'inbound-mtls' : 'inbound-plaintext',
    filters: [
      {
        name: 'envoy.filters.network.http_connection_manager',
        configType: { case: 'typedConfig' as const, value: manager },
      },
    ],
    ...(secure ? { transportSocket: serverTlsSocket() } : {}),
    ...provenanceField(causes),
  }
  return encode(
    ListenerSchema,
    name,
    {
      name,
      ...listeningOn([address], port),
      trafficDirection: TrafficDirection.INBOUND,
      filterChains: [chain],
    },
    causes,
  )
}

/**
 * The filters of AuthorizationPolicies, each by a name of its own, which gRPC asks for. They are not optional: a server
 * that does not know them does not serve.
 */
function authorization({ snapshot, proxy, plugins }: ServerInputs, port: number, secure: boolean) {
  const contributed = plugins.flatMap(
    plugin =>
      plugin.httpFilters?.({
        snapshot,
        proxy,
        direction: 'inbound',
        protocol: 'http',
        security: secure ? 'mutual_tls' : 'none',
        service: undefined,
        port,
      }) ?? [],
  )
  const policies = contributed.filter(
    ({ value }) =>
      value.configType?.case === 'typedConfig' && value.configType.value.typeUrl === typeUrlOf(RBACSchema),
  )
  return {
    filters: policies.map(({ value }, index) => ({ ...value, name: `${value.name}.${index}` })),
    provenance: policies.flatMap(({ provenance }) => provenance),
  }
}
