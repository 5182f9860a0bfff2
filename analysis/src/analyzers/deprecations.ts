import type { Analyzer } from '../analyzer.ts'

/** The API's first form of authorization, long gone. */
const REMOVED_KINDS: ReadonlySet<string> = new Set([
  'ClusterRbacConfig',
  'RbacConfig',
  'ServiceRole',
  'ServiceRoleBinding',
])

/** Fields and kinds that a later version will not have (IST0002). */
export const deprecations: Analyzer = {
  name: 'deprecations',
  inputs: ['VirtualService', 'Sidecar', 'CustomResourceDefinition'],
  analyze(context, report) {
    for (const service of context.all('VirtualService'))
      for (const [index, { fault }] of (service.spec.http ?? []).entries())
        if (fault?.delay?.percent)
          report(service, 'IST0002', ['spec', 'http', index, 'fault', 'delay', 'percent'], {
            what: 'percent',
            instead: 'use percentage',
          })
    for (const sidecar of context.all('Sidecar'))
      if (sidecar.spec.outboundTrafficPolicy?.egressProxy)
        report(sidecar, 'IST0002', ['spec', 'outboundTrafficPolicy', 'egressProxy'], {
          what: 'egressProxy',
          instead: 'it is ignored; route to an egress gateway with a VirtualService',
        })
    for (const definition of context.all('CustomResourceDefinition'))
      if (definition.spec.group === 'rbac.istio.io' && REMOVED_KINDS.has(definition.spec.names.kind))
        report(definition, 'IST0002', ['spec', 'names', 'kind'], {
          what: `the kind ${definition.spec.names.kind} of rbac.istio.io`,
          instead: 'write AuthorizationPolicies',
        })
  },
}

type Version = readonly [major: number, minor: number]

/** The release of the Gateway API in which each kind got the version that is read. */
const MINIMUM: Readonly<Record<string, Version>> = {
  'gatewayclasses.gateway.networking.k8s.io': [1, 0],
  'gateways.gateway.networking.k8s.io': [1, 0],
  'httproutes.gateway.networking.k8s.io': [1, 0],
  'grpcroutes.gateway.networking.k8s.io': [1, 1],
  'backendtlspolicies.gateway.networking.k8s.io': [1, 4],
  'tlsroutes.gateway.networking.k8s.io': [1, 5],
  'listenersets.gateway.networking.k8s.io': [1, 5],
  'tcproutes.gateway.networking.k8s.io': [1, 6],
}

/** Definitions of the Gateway API that are too old (IST0176). */
export const gatewayApiVersions: Analyzer = {
  name: 'gateway-api-versions',
  inputs: ['CustomResourceDefinition'],
  analyze(context, report) {
    for (const definition of context.all('CustomResourceDefinition')) {
      const { name, annotations } = definition.metadata
      const minimum = MINIMUM[name]
      const annotation = 'gateway.networking.k8s.io/bundle-version'
      const installed = annotations[annotation]
      const [, major, minor] = /^v?(\d+)\.(\d+)\./.exec(installed ?? '') ?? []
      if (!minimum || installed === undefined || major === undefined) continue
      const isOld = Number(major) - minimum[0] || Number(minor) - minimum[1]
      if (isOld < 0)
        report(definition, 'IST0176', ['metadata', 'annotations', annotation], {
          crd: name,
          installed,
          minimum: `v${minimum.join('.')}.0`,
        })
    }
  },
}
