import type { z } from 'zod'
import { type ConfigMap, configMapSpec } from './kubernetes/config-map.ts'
import { type EndpointSlice, endpointSliceSpec, type Service, serviceSpec } from './kubernetes/service.ts'
import {
  type Deployment,
  deploymentSpec,
  metadataOnly,
  type Namespace,
  type Pod,
  podSpec,
  type ServiceAccount,
} from './kubernetes/workload.ts'
import { type DestinationRule, destinationRuleSpec } from './networking/destination-rule.ts'
import {
  type ServiceEntry,
  serviceEntrySpec,
  type WorkloadEntry,
  workloadEntrySpec,
} from './networking/service-entry.ts'
import { type VirtualService, virtualServiceSpec } from './networking/virtual-service.ts'
import { type AuthorizationPolicy, authorizationPolicySpec } from './security/authorization-policy.ts'
import { type PeerAuthentication, peerAuthenticationSpec } from './security/peer-authentication.ts'

/** Any configuration object that Seine reads. */
export type MeshResource =
  | VirtualService
  | DestinationRule
  | ServiceEntry
  | WorkloadEntry
  | PeerAuthentication
  | AuthorizationPolicy
  | Service
  | EndpointSlice
  | Pod
  | Deployment
  | Namespace
  | ServiceAccount
  | ConfigMap

export type Kind = MeshResource['kind']

/** What the parser, the CLI and the documentation need to know of a kind. */
export interface KindDefinition {
  readonly kind: Kind
  /** Empty for Kubernetes' core group. */
  readonly group: string
  readonly versions: readonly string[]
  readonly plural: string
  readonly shortNames: readonly string[]
  readonly namespaced: boolean
  /** The body lies under `spec`; else the object's own fields are the body. */
  readonly body: 'spec' | 'object'
  readonly schema: z.ZodType
}

const NETWORKING = {
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  namespaced: true,
  body: 'spec',
} as const
const SECURITY = {
  group: 'security.istio.io',
  versions: ['v1', 'v1beta1'],
  namespaced: true,
  body: 'spec',
} as const
const CORE = { group: '', versions: ['v1'], namespaced: true } as const

/** Every kind, in the order in which documentation lists them. */
export const kindDefinitions: readonly KindDefinition[] = [
  {
    ...NETWORKING,
    kind: 'VirtualService',
    plural: 'virtualservices',
    shortNames: ['vs'],
    schema: virtualServiceSpec,
  },
  {
    ...NETWORKING,
    kind: 'DestinationRule',
    plural: 'destinationrules',
    shortNames: ['dr'],
    schema: destinationRuleSpec,
  },
  {
    ...NETWORKING,
    kind: 'ServiceEntry',
    plural: 'serviceentries',
    shortNames: ['se'],
    schema: serviceEntrySpec,
  },
  {
    ...NETWORKING,
    kind: 'WorkloadEntry',
    plural: 'workloadentries',
    shortNames: ['we'],
    schema: workloadEntrySpec,
  },
  {
    ...SECURITY,
    kind: 'PeerAuthentication',
    plural: 'peerauthentications',
    shortNames: ['pa'],
    schema: peerAuthenticationSpec,
  },
  {
    ...SECURITY,
    kind: 'AuthorizationPolicy',
    plural: 'authorizationpolicies',
    shortNames: ['ap'],
    schema: authorizationPolicySpec,
  },
  { ...CORE, body: 'spec', kind: 'Service', plural: 'services', shortNames: ['svc'], schema: serviceSpec },
  {
    ...CORE,
    group: 'discovery.k8s.io',
    body: 'object',
    kind: 'EndpointSlice',
    plural: 'endpointslices',
    shortNames: [],
    schema: endpointSliceSpec,
  },
  { ...CORE, body: 'spec', kind: 'Pod', plural: 'pods', shortNames: ['po'], schema: podSpec },
  {
    ...CORE,
    group: 'apps',
    body: 'spec',
    kind: 'Deployment',
    plural: 'deployments',
    shortNames: ['deploy'],
    schema: deploymentSpec,
  },
  {
    ...CORE,
    body: 'spec',
    namespaced: false,
    kind: 'Namespace',
    plural: 'namespaces',
    shortNames: ['ns'],
    schema: metadataOnly,
  },
  {
    ...CORE,
    body: 'object',
    kind: 'ServiceAccount',
    plural: 'serviceaccounts',
    shortNames: ['sa'],
    schema: metadataOnly,
  },
  {
    ...CORE,
    body: 'object',
    kind: 'ConfigMap',
    plural: 'configmaps',
    shortNames: ['cm'],
    schema: configMapSpec,
  },
]

const byWord = new Map<string, KindDefinition>()
for (const definition of kindDefinitions) {
  for (const word of [definition.kind, definition.plural, ...definition.shortNames])
    byWord.set(word.toLowerCase(), definition)
}

/** The kind a person means by `vs`, `virtualservices` or `VirtualService`. */
export function findKind(word: string): KindDefinition | undefined {
  return byWord.get(word.toLowerCase())
}

/** `networking.istio.io/v1`: the version Seine writes. */
export function apiVersionOf(definition: KindDefinition): string {
  const version = definition.versions[0] ?? 'v1'
  return definition.group === '' ? version : `${definition.group}/${version}`
}
