import type { Analyzer } from './analyzer.ts'
import { istioAnnotations } from './analyzers/annotations.ts'
import { authorizationPolicies } from './analyzers/authorization-policies.ts'
import { negativeConditions } from './analyzers/conditions.ts'
import { deprecations, gatewayApiVersions } from './analyzers/deprecations.ts'
import { destinationRuleTargets, uncheckedServers } from './analyzers/destination-rules.ts'
import { envoyFilterOperations } from './analyzers/envoy-filters.ts'
import { gatewaySecrets } from './analyzers/gateway-secrets.ts'
import {
  conflictingGateways,
  duplicateCertificates,
  gatewayPorts,
  gatewaySockets,
} from './analyzers/gateways.ts'
import {
  applicationUsers,
  automaticImages,
  missingSidecars,
  namespaceInjection,
} from './analyzers/injection.ts'
import { networkRegistries } from './analyzers/networks.ts'
import { kubernetesGatewaySelectors, sidecarSelectors, telemetrySelectors } from './analyzers/selectors.ts'
import { conflictingProtocols, serviceEntryAddresses } from './analyzers/service-entries.ts'
import { portNames, serviceAssociations } from './analyzers/services.ts'
import { telemetryProviders } from './analyzers/telemetry-providers.ts'
import { conflictingMeshHosts } from './analyzers/virtual-service-conflicts.ts'
import {
  gatewaySubsetRoutes,
  virtualServiceDelegates,
  virtualServiceDestinations,
  virtualServiceSubsets,
} from './analyzers/virtual-service-destinations.ts'
import { claimRoutes, virtualServiceGateways } from './analyzers/virtual-service-gateways.ts'
import { unusedMatches } from './analyzers/virtual-service-matches.ts'
import { webhooks } from './analyzers/webhooks.ts'

/** Every analyzer. Their order does not matter. */
export const analyzers: readonly Analyzer[] = [
  virtualServiceDestinations,
  virtualServiceSubsets,
  virtualServiceDelegates,
  virtualServiceGateways,
  conflictingMeshHosts,
  unusedMatches,
  claimRoutes,
  gatewaySubsetRoutes,
  uncheckedServers,
  destinationRuleTargets,
  gatewayPorts,
  gatewaySecrets,
  conflictingGateways,
  gatewaySockets,
  duplicateCertificates,
  kubernetesGatewaySelectors,
  portNames,
  serviceAssociations,
  serviceEntryAddresses,
  conflictingProtocols,
  authorizationPolicies,
  sidecarSelectors,
  telemetrySelectors,
  telemetryProviders,
  envoyFilterOperations,
  namespaceInjection,
  missingSidecars,
  automaticImages,
  applicationUsers,
  istioAnnotations,
  negativeConditions,
  networkRegistries,
  webhooks,
  deprecations,
  gatewayApiVersions,
]
