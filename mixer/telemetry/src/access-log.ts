import type { JsonObject } from '@bufbuild/protobuf'
import type { Any } from '@bufbuild/protobuf/wkt'
import { type ExtensionProvider, type MeshConfig, providerNamed } from '@seine/api'
import { any } from '@seine/envoy'
import { AccessLogType } from '@seine/envoy/envoy/data/accesslog/v3/accesslog'
import { FileAccessLogSchema } from '@seine/envoy/envoy/extensions/access_loggers/file/v3/file'
import { OpenTelemetryAccessLogConfigSchema } from '@seine/envoy/envoy/extensions/access_loggers/open_telemetry/v3/logs_service'
import { StdoutAccessLogSchema } from '@seine/envoy/envoy/extensions/access_loggers/stream/v3/stream'
import {
  type AccessLogInit,
  type FilterChainContext,
  providerCluster,
  providerHost,
  type TrafficPlugin,
} from '@seine/pilot-traffic'

/** Istio's default fields, and who called whom. */
const FIELDS: JsonObject = {
  start_time: '%START_TIME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  trace_id: '%TRACE_ID%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  route_name: '%ROUTE_NAME%',
  downstream_peer: '%DOWNSTREAM_PEER_URI_SAN%',
  upstream_peer: '%UPSTREAM_PEER_URI_SAN%',
}

const TEXT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% ' +
  '%CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" ' +
  '%UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n'

/** The fields that somebody wrote, which validation has read, or Istio's. */
function fieldsOf(format: string, byAddress = false): JsonObject {
  if (byAddress) return JSON.parse(byStatistics(format || JSON.stringify(FIELDS))) as JsonObject
  return format === '' ? FIELDS : (JSON.parse(format) as JsonObject)
}

/** Each line ends, as Istio has it, whether its format says so or not. */
function lineOf(format: string, byAddress = false): string {
  const line = format === '' ? TEXT : `${format.replace(/\n$/, '')}\n`
  return byAddress ? byStatistics(line) : line
}

/** Clusters for an address have statistics by the name of the cluster that they stand for. */
function byStatistics(text: string): string {
  return text.replaceAll('%UPSTREAM_CLUSTER_RAW%', '%UPSTREAM_CLUSTER%')
}

/** A connection is logged for metrics when it opens, too. */
const AT_END: NonNullable<AccessLogInit['filter']> = {
  filterSpecifier: { case: 'logTypeFilter', value: { types: [AccessLogType.TcpConnectionEnd] } },
}

type Logger = Pick<AccessLogInit, 'name' | 'configType'>

/** A logger that writes lines to a file or to standard output. */
function fileLogger(
  path: string,
  format: { readonly text: string } | { readonly fields: JsonObject },
  omitEmptyValues = false,
): Logger {
  const logFormat = {
    case: 'logFormat' as const,
    value: {
      format:
        'fields' in format
          ? { case: 'jsonFormat' as const, value: format.fields }
          : {
              case: 'textFormatSource' as const,
              value: { specifier: { case: 'inlineString' as const, value: format.text } },
            },
      omitEmptyValues,
    },
  }
  // Envoy writes its own stdout directly: opening /dev/stdout again fails for its user when the agent holds the pipe.
  return path === STDOUT
    ? logger('envoy.access_loggers.stdout', any(StdoutAccessLogSchema, { accessLogFormat: logFormat }))
    : logger('envoy.access_loggers.file', any(FileAccessLogSchema, { path, accessLogFormat: logFormat }))
}

/** A logger that sends records over OTLP to a service of the mesh. */
function otlpLogger(provider: NonNullable<ExtensionProvider['envoyOtelAls']>, byAddress: boolean): Logger {
  const { logName, logFormat } = provider
  const text = (value: string) => ({ value: { case: 'stringValue' as const, value } })
  const labels = Object.entries(logFormat?.labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  const config = any(OpenTelemetryAccessLogConfigSchema, {
    logName: logName || 'otel_envoy_accesslog',
    grpcService: {
      targetSpecifier: {
        case: 'envoyGrpc',
        value: { clusterName: providerCluster(provider), authority: providerHost(provider) },
      },
    },
    disableBuiltinLabels: true,
    body: text(lineOf(logFormat?.text ?? '', byAddress).trimEnd()),
    ...(labels.length > 0
      ? {
          attributes: {
            values: labels.map(([key, value]) => ({
              key,
              value: text(byAddress ? byStatistics(value) : value),
            })),
          },
        }
      : {}),
  })
  return logger('envoy.access_loggers.open_telemetry', config)
}

function logger(name: string, config: Any): Logger {
  return { name, configType: { case: 'typedConfig', value: config } }
}

/** The logs that the mesh's settings ask for: of the providers that count by default, else the one at `accessLogFile`. */
function loggersOf(config: MeshConfig, byAddress: boolean): Logger[] {
  const { accessLogFile, accessLogEncoding, accessLogFormat, defaultProviders } = config
  const ofMesh = (path: string) =>
    fileLogger(
      path,
      accessLogEncoding === 'JSON'
        ? { fields: fieldsOf(accessLogFormat, byAddress) }
        : { text: lineOf(accessLogFormat, byAddress) },
    )
  const named = defaultProviders.accessLogging ?? []
  if (named.length === 0) return accessLogFile === '' ? [] : [ofMesh(accessLogFile)]
  return named.flatMap(name => {
    const provider = providerNamed(name, config.extensionProviders ?? [])
    if (provider?.envoyOtelAls) return [otlpLogger(provider.envoyOtelAls, byAddress)]
    const file = provider?.envoyFileAccessLog
    if (!file) return []
    const { logFormat, omitEmptyValues = false } = file
    const path = file.path || STDOUT
    if (name === 'envoy' && !logFormat && !omitEmptyValues) return [ofMesh(path)]
    const format = logFormat?.labels
      ? { fields: fieldsOf(JSON.stringify(logFormat.labels), byAddress) }
      : { text: lineOf(logFormat?.text ?? '', byAddress) }
    return [fileLogger(path, format, omitEmptyValues)]
  })
}

const STDOUT = '/dev/stdout'

/** A line for each request and connection, where the mesh's settings ask for it. */
export const accessLogPlugin: TrafficPlugin = {
  name: 'access-log',
  accessLogs: ({ snapshot, protocol, serviceOfCluster = false }: FilterChainContext) =>
    loggersOf(snapshot.config, serviceOfCluster).map(value => ({
      value: protocol === 'tcp' ? { ...value, filter: AT_END } : value,
      provenance: [],
    })),
}
