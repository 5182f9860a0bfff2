import { wasmPluginRules, wasmPluginSpec } from './extensions/wasm-plugin.ts'
import { backendTlsPolicySpec } from './gateway/backend-tls-policy.ts'
import { type KubernetesGateway, kubernetesGatewaySpec } from './gateway/gateway.ts'
import { gatewayClassSpec } from './gateway/gateway-class.ts'
import { grpcRouteSpec } from './gateway/grpc-route.ts'
import { httpRouteSpec } from './gateway/http-route.ts'
import { tcpRouteRules, tcpRouteSpec, tlsRouteRules, tlsRouteSpec } from './gateway/l4-routes.ts'
import { listenerSetSpec } from './gateway/listener-set.ts'
import { referenceGrantSpec } from './gateway/reference-grant.ts'
import type { KindDefinition } from './kind-definition.ts'
import { customResourceDefinitionSpec, mutatingWebhookSpec, nodeSpec } from './kubernetes/cluster.ts'
import { configMapSpec } from './kubernetes/config-map.ts'
import { secretSpec } from './kubernetes/secret.ts'
import { endpointSliceSpec, serviceSpec } from './kubernetes/service.ts'
import {
  deploymentSpec,
  metadataOnly,
  podRules,
  podSpec,
  podTemplateRules,
  podTemplateSpec,
} from './kubernetes/workload.ts'
import { destinationRuleRules, destinationRuleSpec } from './networking/destination-rule.ts'
import { envoyFilterRules, envoyFilterSpec } from './networking/envoy-filter.ts'
import { type Gateway, gatewayRules, gatewaySpec } from './networking/gateway.ts'
import { proxyConfigRules, proxyConfigSpec } from './networking/proxy-config.ts'
import {
  serviceEntryRules,
  serviceEntrySpec,
  workloadEntryRules,
  workloadEntrySpec,
} from './networking/service-entry.ts'
import { sidecarRules, sidecarSpec } from './networking/sidecar.ts'
import { virtualServiceSpec } from './networking/virtual-service.ts'
import { virtualServiceRules } from './networking/virtual-service-rules.ts'
import { workloadGroupSpec } from './networking/workload-group.ts'
import { groupOf, type Resource } from './resource.ts'
import { authorizationPolicySpec } from './security/authorization-policy.ts'
import { authorizationPolicyRules } from './security/authorization-policy-rules.ts'
import { peerAuthenticationRules, peerAuthenticationSpec } from './security/peer-authentication.ts'
import { requestAuthenticationRules, requestAuthenticationSpec } from './security/request-authentication.ts'
import { telemetryRules, telemetrySpec } from './telemetry/telemetry.ts'

const OF_NETWORKING = {
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  namespaced: true,
  body: 'spec',
  shortNames: [],
} as const
const OF_SECURITY = { ...OF_NETWORKING, group: 'security.istio.io', versions: ['v1', 'v1beta1'] } as const
const OF_GATEWAY_API = {
  ...OF_NETWORKING,
  group: 'gateway.networking.k8s.io',
  versions: ['v1', 'v1beta1'],
} as const
const OF_CORE = { group: '', versions: ['v1'], namespaced: true, shortNames: [] } as const
const OF_APPS = { ...OF_CORE, group: 'apps', body: 'spec' } as const

const networkingKinds: readonly KindDefinition[] = [
  {
    ...OF_NETWORKING,
    kind: 'VirtualService',
    plural: 'virtualservices',
    shortNames: ['vs'],
    schema: virtualServiceSpec,
    rules: virtualServiceRules,
  },
  {
    ...OF_NETWORKING,
    kind: 'DestinationRule',
    plural: 'destinationrules',
    shortNames: ['dr'],
    schema: destinationRuleSpec,
    rules: destinationRuleRules,
  },
  {
    ...OF_NETWORKING,
    kind: 'Gateway',
    plural: 'gateways',
    shortNames: ['gw'],
    schema: gatewaySpec,
    rules: gatewayRules,
  },
  {
    ...OF_NETWORKING,
    kind: 'ServiceEntry',
    plural: 'serviceentries',
    shortNames: ['se'],
    schema: serviceEntrySpec,
    rules: serviceEntryRules,
  },
  {
    ...OF_NETWORKING,
    kind: 'WorkloadEntry',
    plural: 'workloadentries',
    shortNames: ['we'],
    schema: workloadEntrySpec,
    rules: workloadEntryRules,
  },
  {
    ...OF_NETWORKING,
    kind: 'WorkloadGroup',
    plural: 'workloadgroups',
    shortNames: ['wg'],
    schema: workloadGroupSpec,
  },
  { ...OF_NETWORKING, kind: 'Sidecar', plural: 'sidecars', schema: sidecarSpec, rules: sidecarRules },
  {
    ...OF_NETWORKING,
    versions: ['v1alpha3', 'v1beta1', 'v1'],
    kind: 'EnvoyFilter',
    plural: 'envoyfilters',
    schema: envoyFilterSpec,
    rules: envoyFilterRules,
  },
  {
    ...OF_NETWORKING,
    versions: ['v1beta1', 'v1', 'v1alpha3'],
    kind: 'ProxyConfig',
    plural: 'proxyconfigs',
    schema: proxyConfigSpec,
    rules: proxyConfigRules,
  },
]

const policyKinds: readonly KindDefinition[] = [
  {
    ...OF_SECURITY,
    kind: 'PeerAuthentication',
    plural: 'peerauthentications',
    shortNames: ['pa'],
    schema: peerAuthenticationSpec,
    rules: peerAuthenticationRules,
  },
  {
    ...OF_SECURITY,
    kind: 'RequestAuthentication',
    plural: 'requestauthentications',
    shortNames: ['ra'],
    schema: requestAuthenticationSpec,
    rules: requestAuthenticationRules,
  },
  {
    ...OF_SECURITY,
    kind: 'AuthorizationPolicy',
    plural: 'authorizationpolicies',
    shortNames: ['ap'],
    schema: authorizationPolicySpec,
    rules: authorizationPolicyRules,
  },
  {
    ...OF_SECURITY,
    group: 'telemetry.istio.io',
    versions: ['v1', 'v1alpha1'],
    kind: 'Telemetry',
    plural: 'telemetries',
    schema: telemetrySpec,
    rules: telemetryRules,
  },
  {
    ...OF_SECURITY,
    group: 'extensions.istio.io',
    versions: ['v1alpha1'],
    kind: 'WasmPlugin',
    plural: 'wasmplugins',
    schema: wasmPluginSpec,
    rules: wasmPluginRules,
  },
]

const gatewayKinds: readonly KindDefinition[] = [
  {
    ...OF_GATEWAY_API,
    namespaced: false,
    kind: 'GatewayClass',
    plural: 'gatewayclasses',
    shortNames: ['gc'],
    schema: gatewayClassSpec,
  },
  {
    ...OF_GATEWAY_API,
    kind: 'Gateway',
    plural: 'gateways',
    shortNames: ['gtw'],
    schema: kubernetesGatewaySpec,
  },
  {
    ...OF_GATEWAY_API,
    versions: ['v1'],
    kind: 'ListenerSet',
    plural: 'listenersets',
    shortNames: ['lset'],
    schema: listenerSetSpec,
  },
  { ...OF_GATEWAY_API, kind: 'HTTPRoute', plural: 'httproutes', schema: httpRouteSpec },
  {
    ...OF_GATEWAY_API,
    versions: ['v1', 'v1alpha2'],
    kind: 'GRPCRoute',
    plural: 'grpcroutes',
    schema: grpcRouteSpec,
  },
  {
    ...OF_GATEWAY_API,
    versions: ['v1', 'v1alpha3', 'v1alpha2'],
    kind: 'TLSRoute',
    plural: 'tlsroutes',
    schema: tlsRouteSpec,
    rules: tlsRouteRules,
  },
  {
    ...OF_GATEWAY_API,
    versions: ['v1', 'v1alpha2'],
    kind: 'TCPRoute',
    plural: 'tcproutes',
    schema: tcpRouteSpec,
    rules: tcpRouteRules,
  },
  {
    ...OF_GATEWAY_API,
    versions: ['v1', 'v1beta1', 'v1alpha2'],
    kind: 'ReferenceGrant',
    plural: 'referencegrants',
    shortNames: ['refgrant'],
    schema: referenceGrantSpec,
  },
  {
    ...OF_GATEWAY_API,
    versions: ['v1', 'v1alpha3'],
    kind: 'BackendTLSPolicy',
    plural: 'backendtlspolicies',
    shortNames: ['btlspolicy'],
    schema: backendTlsPolicySpec,
  },
]

const kubernetesKinds: readonly KindDefinition[] = [
  { ...OF_CORE, body: 'spec', kind: 'Service', plural: 'services', shortNames: ['svc'], schema: serviceSpec },
  {
    ...OF_CORE,
    group: 'discovery.k8s.io',
    body: 'object',
    kind: 'EndpointSlice',
    plural: 'endpointslices',
    schema: endpointSliceSpec,
  },
  {
    ...OF_CORE,
    body: 'spec',
    kind: 'Pod',
    plural: 'pods',
    shortNames: ['po'],
    schema: podSpec,
    rules: podRules,
  },
  {
    ...OF_APPS,
    kind: 'Deployment',
    plural: 'deployments',
    shortNames: ['deploy'],
    schema: deploymentSpec,
    rules: podTemplateRules,
  },
  {
    ...OF_APPS,
    kind: 'StatefulSet',
    plural: 'statefulsets',
    shortNames: ['sts'],
    schema: podTemplateSpec,
    rules: podTemplateRules,
  },
  {
    ...OF_APPS,
    kind: 'DaemonSet',
    plural: 'daemonsets',
    shortNames: ['ds'],
    schema: podTemplateSpec,
    rules: podTemplateRules,
  },
  {
    ...OF_APPS,
    kind: 'ReplicaSet',
    plural: 'replicasets',
    shortNames: ['rs'],
    schema: podTemplateSpec,
    rules: podTemplateRules,
  },
  {
    ...OF_APPS,
    group: 'batch',
    kind: 'Job',
    plural: 'jobs',
    schema: podTemplateSpec,
    rules: podTemplateRules,
  },
  {
    ...OF_CORE,
    body: 'spec',
    namespaced: false,
    kind: 'Namespace',
    plural: 'namespaces',
    shortNames: ['ns'],
    schema: metadataOnly,
  },
  {
    ...OF_CORE,
    body: 'object',
    kind: 'ServiceAccount',
    plural: 'serviceaccounts',
    shortNames: ['sa'],
    schema: metadataOnly,
  },
  {
    ...OF_CORE,
    body: 'object',
    kind: 'ConfigMap',
    plural: 'configmaps',
    shortNames: ['cm'],
    schema: configMapSpec,
  },
  { ...OF_CORE, body: 'object', kind: 'Secret', plural: 'secrets', schema: secretSpec },
  {
    ...OF_CORE,
    body: 'spec',
    namespaced: false,
    kind: 'Node',
    plural: 'nodes',
    shortNames: ['no'],
    schema: nodeSpec,
  },
  {
    ...OF_CORE,
    group: 'apiextensions.k8s.io',
    body: 'spec',
    namespaced: false,
    kind: 'CustomResourceDefinition',
    plural: 'customresourcedefinitions',
    shortNames: ['crd'],
    schema: customResourceDefinitionSpec,
  },
  {
    ...OF_CORE,
    group: 'admissionregistration.k8s.io',
    body: 'object',
    namespaced: false,
    kind: 'MutatingWebhookConfiguration',
    plural: 'mutatingwebhookconfigurations',
    schema: mutatingWebhookSpec,
  },
]

/** Every kind, in the order in which documentation lists them. */
export const kindDefinitions: readonly KindDefinition[] = [
  ...networkingKinds,
  ...policyKinds,
  ...gatewayKinds,
  ...kubernetesKinds,
]

const byWord = new Map<string, KindDefinition>()
for (const definition of kindDefinitions) {
  const { kind, plural, shortNames, group } = definition
  for (const word of [kind, plural, ...shortNames, `${kind}.${group}`, `${plural}.${group}`].map(each =>
    each.toLowerCase(),
  ))
    if (!byWord.has(word)) byWord.set(word, definition)
}

/**
 * The kind a person means by `vs`, `virtualservices` or `VirtualService`, with its group behind a dot where
 * they say it. `gateways` alone are Istio's.
 */
export function findKind(word: string): KindDefinition | undefined {
  return byWord.get(word.toLowerCase())
}

/** The definition of an object's kind. */
export function definitionOf({
  apiVersion,
  kind,
}: Pick<Resource<string, unknown>, 'apiVersion' | 'kind'>): KindDefinition | undefined {
  const group = groupOf(apiVersion)
  return kindDefinitions.find(one => one.kind === kind && one.group === group)
}

/** Whether a Gateway is the Gateway API's, not Istio's. */
export function isKubernetesGateway(gateway: Gateway | KubernetesGateway): gateway is KubernetesGateway {
  return groupOf(gateway.apiVersion) === OF_GATEWAY_API.group
}

/** `networking.istio.io/v1`: the version Seine writes. */
export function apiVersionOf(definition: KindDefinition): string {
  const version = definition.versions[0] ?? 'v1'
  return definition.group === '' ? version : `${definition.group}/${version}`
}
