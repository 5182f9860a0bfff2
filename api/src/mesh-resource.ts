import type { WasmPlugin } from './extensions/wasm-plugin.ts'
import type { BackendTlsPolicy } from './gateway/backend-tls-policy.ts'
import type { KubernetesGateway } from './gateway/gateway.ts'
import type { GatewayClass } from './gateway/gateway-class.ts'
import type { GrpcRoute } from './gateway/grpc-route.ts'
import type { KubernetesHttpRoute } from './gateway/http-route.ts'
import type { KubernetesTcpRoute, KubernetesTlsRoute } from './gateway/l4-routes.ts'
import type { ListenerSet } from './gateway/listener-set.ts'
import type { ReferenceGrant } from './gateway/reference-grant.ts'
import type { CustomResourceDefinition, MutatingWebhookConfiguration, Node } from './kubernetes/cluster.ts'
import type { ConfigMap } from './kubernetes/config-map.ts'
import type { Secret } from './kubernetes/secret.ts'
import type { EndpointSlice, Service } from './kubernetes/service.ts'
import type {
  DaemonSet,
  Deployment,
  Job,
  Namespace,
  Pod,
  ReplicaSet,
  ServiceAccount,
  StatefulSet,
} from './kubernetes/workload.ts'
import type { DestinationRule } from './networking/destination-rule.ts'
import type { EnvoyFilter } from './networking/envoy-filter.ts'
import type { Gateway } from './networking/gateway.ts'
import type { ProxyConfig } from './networking/proxy-config.ts'
import type { ServiceEntry, WorkloadEntry } from './networking/service-entry.ts'
import type { Sidecar } from './networking/sidecar.ts'
import type { VirtualService } from './networking/virtual-service.ts'
import type { WorkloadGroup } from './networking/workload-group.ts'
import type { AuthorizationPolicy } from './security/authorization-policy.ts'
import type { PeerAuthentication } from './security/peer-authentication.ts'
import type { RequestAuthentication } from './security/request-authentication.ts'
import type { Telemetry } from './telemetry/telemetry.ts'

/** Any configuration object that Seine reads. */
export type MeshResource =
  | VirtualService
  | DestinationRule
  | Gateway
  | ServiceEntry
  | WorkloadEntry
  | WorkloadGroup
  | Sidecar
  | EnvoyFilter
  | ProxyConfig
  | PeerAuthentication
  | RequestAuthentication
  | AuthorizationPolicy
  | Telemetry
  | WasmPlugin
  | GatewayClass
  | KubernetesGateway
  | ListenerSet
  | KubernetesHttpRoute
  | GrpcRoute
  | KubernetesTlsRoute
  | KubernetesTcpRoute
  | ReferenceGrant
  | BackendTlsPolicy
  | Service
  | EndpointSlice
  | Pod
  | Deployment
  | StatefulSet
  | DaemonSet
  | ReplicaSet
  | Job
  | Namespace
  | ServiceAccount
  | ConfigMap
  | Secret
  | Node
  | CustomResourceDefinition
  | MutatingWebhookConfiguration

export type Kind = MeshResource['kind']
