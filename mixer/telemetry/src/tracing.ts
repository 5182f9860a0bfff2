import type { ProxySettings } from '@seine/api'
import { any, duration } from '@seine/envoy'
import { OpenTelemetryConfigSchema } from '@seine/envoy/envoy/config/trace/v3/opentelemetry'
import type { FilterChainContext, TracingInit, TrafficPlugin } from '@seine/pilot-traffic'

/** The cluster of the bootstrap to which sidecars send spans. */
const OTLP_CLUSTER = 'otlp'

type Tag = NonNullable<TracingInit['customTags']>[number]
type WrittenTag = NonNullable<ProxySettings['tracing']['customTags']>[string]

function literal(tag: string, value: string): Tag {
  return { tag, type: { case: 'literal', value: { value } } }
}

function customTag(tag: string, { environment, header, literal: fixed }: WrittenTag): Tag {
  if (environment) {
    const { name, defaultValue = '' } = environment
    return { tag, type: { case: 'environment', value: { name, defaultValue } } }
  }
  if (!header) return literal(tag, fixed?.value ?? '')
  const { name, defaultValue = '' } = header
  return { tag, type: { case: 'requestHeader', value: { name, defaultValue } } }
}

/** Spans over OTLP from both sides of a call; the application only forwards the trace headers. */
export const tracingPlugin: TrafficPlugin = {
  name: 'tracing',
  tracing: ({ snapshot, proxy, protocol }: FilterChainContext) => {
    if (!snapshot.config.enableTracing || protocol !== 'http') return undefined
    const config = any(OpenTelemetryConfigSchema, {
      grpcService: {
        targetSpecifier: { case: 'envoyGrpc', value: { clusterName: OTLP_CLUSTER } },
        timeout: duration(250),
      },
      serviceName: `${proxy.app}.${proxy.namespace}`,
    })
    const settings = snapshot.config.defaultConfig.tracing
    return {
      value: {
        clientSampling: { value: 100 },
        randomSampling: { value: settings.sampling },
        overallSampling: { value: 100 },
        provider: { name: 'envoy.tracers.opentelemetry', configType: { case: 'typedConfig', value: config } },
        ...(settings.maxPathTagLength === undefined ? {} : { maxPathTagLength: settings.maxPathTagLength }),
        customTags: [
          ...(settings.enableIstioTags
            ? [
                literal('istio.canonical_service', proxy.app),
                literal('istio.canonical_revision', proxy.version),
                literal('istio.namespace', proxy.namespace),
                literal('istio.workload', proxy.workloadName),
                literal('istio.mesh_id', snapshot.config.trustDomain),
              ]
            : []),
          ...Object.entries(settings.customTags ?? {})
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([name, tag]) => customTag(name, tag)),
        ],
      },
      provenance: [],
    }
  },
}
