import { any, duration } from '@seine/envoy'
import { OpenTelemetryConfigSchema } from '@seine/envoy/envoy/config/trace/v3/opentelemetry'
import type { FilterChainContext, TrafficPlugin } from '@seine/pilot-traffic'

/** The cluster of the bootstrap to which sidecars send spans. */
const OTLP_CLUSTER = 'otlp'

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
    const tag = (name: string, value: string) => ({
      tag: name,
      type: { case: 'literal' as const, value: { value } },
    })
    return {
      value: {
        clientSampling: { value: 100 },
        randomSampling: { value: snapshot.config.defaultConfig.tracing.sampling },
        overallSampling: { value: 100 },
        provider: { name: 'envoy.tracers.opentelemetry', configType: { case: 'typedConfig', value: config } },
        customTags: [
          tag('istio.canonical_service', proxy.app),
          tag('istio.canonical_revision', proxy.version),
          tag('istio.namespace', proxy.namespace),
          tag('istio.workload', proxy.workloadName),
          tag('istio.mesh_id', snapshot.config.trustDomain),
        ],
      },
      provenance: [],
    }
  },
}
