import { durationMs, type ExtensionProvider, type ProxySettings } from '@seine/api'
import { any, duration } from '@seine/envoy'
import { OpenTelemetryConfigSchema } from '@seine/envoy/envoy/config/trace/v3/opentelemetry'
import {
  type FilterChainContext,
  type Init,
  type Proxy,
  providerCluster,
  providerHost,
  proxySettingsOf,
  type TracingInit,
  type TrafficPlugin,
  tracingProvider,
} from '@seine/pilot-traffic'

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

type Provider = NonNullable<ExtensionProvider['opentelemetry']>
type Exporter = Pick<Init<typeof OpenTelemetryConfigSchema>, 'grpcService' | 'httpService'>

/** How long an export may take where nobody says. */
const EXPORT_MS = 250

const TO_MIXER: Exporter = {
  grpcService: {
    targetSpecifier: { case: 'envoyGrpc', value: { clusterName: OTLP_CLUSTER } },
    timeout: duration(EXPORT_MS),
  },
}

/** Spans to a service of the mesh, by gRPC or, where its definition has `http`, by HTTP. */
function exporter(provider: Provider): Exporter {
  const cluster = providerCluster(provider)
  const host = providerHost(provider)
  const { http, grpc } = provider
  const lasting = (text: string | undefined) => duration(text === undefined ? EXPORT_MS : durationMs(text))
  if (http)
    return {
      httpService: {
        httpUri: {
          uri: `${host}/${(http.path ?? '').replace(/^\/+/, '')}`,
          httpUpstreamType: { case: 'cluster', value: cluster },
          timeout: lasting(http.timeout),
        },
        requestHeadersToAdd: (http.headers ?? []).map(({ name, value = '' }) => ({
          header: { key: name, value },
        })),
      },
    }
  return {
    grpcService: {
      targetSpecifier: { case: 'envoyGrpc', value: { clusterName: cluster, authority: host } },
      timeout: lasting(grpc?.timeout),
      initialMetadata: (grpc?.initialMetadata ?? []).map(({ name, value = '' }) => ({ key: name, value })),
    },
  }
}

/** Whose spans they are. */
function serviceNameOf(
  { app, namespace, labels }: Proxy,
  by: ProxySettings['tracingServiceName'] = 'CANONICAL_NAME_AND_NAMESPACE',
): string {
  switch (by) {
    case 'APP_LABEL_AND_NAMESPACE':
      return `${labels['app'] ?? app}.${namespace}`
    case 'CANONICAL_NAME_ONLY':
      return app
    case 'CANONICAL_NAME_AND_NAMESPACE':
      return `${app}.${namespace}`
  }
}

/** Spans over OTLP from both sides of a call; the application only forwards the trace headers. */
export const tracingPlugin: TrafficPlugin = {
  name: 'tracing',
  tracing: ({ snapshot, proxy, protocol }: FilterChainContext) => {
    if (!snapshot.config.enableTracing || protocol !== 'http') return undefined
    const { tracing: settings, tracingServiceName, meshId } = proxySettingsOf(snapshot, proxy)
    const provider = tracingProvider(snapshot.config)
    const config = any(OpenTelemetryConfigSchema, {
      ...(provider ? exporter(provider) : TO_MIXER),
      serviceName: serviceNameOf(proxy, tracingServiceName),
    })
    const maxPathTagLength = settings.maxPathTagLength ?? provider?.maxTagLength
    return {
      value: {
        clientSampling: { value: 100 },
        randomSampling: { value: settings.sampling },
        overallSampling: { value: 100 },
        provider: { name: 'envoy.tracers.opentelemetry', configType: { case: 'typedConfig', value: config } },
        ...(maxPathTagLength ? { maxPathTagLength } : {}),
        customTags: [
          ...(settings.enableIstioTags
            ? [
                literal('istio.canonical_service', proxy.app),
                literal('istio.canonical_revision', proxy.version),
                literal('istio.namespace', proxy.namespace),
                literal('istio.workload', proxy.workloadName),
                literal('istio.mesh_id', meshId ?? snapshot.config.trustDomain),
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
