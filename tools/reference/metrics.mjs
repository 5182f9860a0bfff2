// Istio's standard metrics as the sidecars' configuration really has them, and the components' own.
import { code, NOTICE, table } from './markdown.mjs'
import { describe, literal, productSources } from './sources.mjs'

const HERE = 'tools/reference/metrics.mjs'

const STANDARD = {
  istio_requests_total: 'Requests that ended',
  istio_request_duration_milliseconds: 'How long requests took, from the first byte in to the last byte out',
  istio_request_bytes: 'Sizes of request bodies',
  istio_response_bytes: 'Sizes of response bodies',
  istio_tcp_connections_opened_total: 'TCP connections that reached their destination',
  istio_tcp_connections_closed_total: 'TCP connections that ended',
  istio_tcp_sent_bytes_total: 'Bytes sent to the client; counted when the connection ends',
  istio_tcp_received_bytes_total: 'Bytes received from the client; counted when the connection ends',
}

const LABELS = {
  reporter: '`source` for the sidecar of the caller, `destination` for the one of the called',
  source_workload: "The caller's Deployment",
  source_canonical_service: "The caller's application",
  source_canonical_revision: "The caller's version",
  source_workload_namespace: "The caller's namespace",
  source_principal: "The caller's SPIFFE ID",
  source_app: 'The same as `source_canonical_service`',
  source_version: 'The same as `source_canonical_revision`',
  source_cluster: "The caller's cluster; `unknown` at the destination",
  destination_workload: 'The called Deployment',
  destination_workload_namespace: 'Its namespace',
  destination_principal: 'Its SPIFFE ID',
  destination_app: 'The same as `destination_canonical_service`',
  destination_version: 'The same as `destination_canonical_revision`',
  destination_service: 'The host that was called',
  destination_canonical_service: 'The called application',
  destination_canonical_revision: 'Its version',
  destination_service_name: "The called service's name",
  destination_service_namespace: "The called service's namespace",
  destination_cluster: 'The cluster of the called workload',
  request_protocol: '`http`, `grpc` or `tcp`',
  response_code: 'The HTTP status; 0 where none was sent',
  grpc_response_status: 'The gRPC status, as a number; empty where there is none',
  response_flags:
    "Envoy's flags: `-` for none, `UO` overflow, `UF` no connection, `NR` no route, `DC` client gone …",
  connection_security_policy:
    '`mutual_tls` or `none`, as the destination saw it; `unknown` at the source, which only knows what it tried',
}

export async function metricsPages(root) {
  return [['metrics.md', page(await standardMetrics(root), ownMetrics(root))]]
}

/** The metrics that the stats access loggers of the two sides' filter chains count, with their labels. */
async function standardMetrics(root) {
  const { fromBinary } = await import('@bufbuild/protobuf')
  const { metricsPlugin } = await import(`${root}/mixer/telemetry/dist/index.js`)
  const { defaultMeshConfig } = await import(`${root}/api/dist/index.js`)
  const { ConfigSchema } = await import('@seine/envoy/envoy/extensions/access_loggers/stats/v3/stats')
  const proxy = { workloadName: 'w', app: 'a', version: 'v', namespace: 'n', clusterId: 'c' }
  const found = new Map()
  for (const direction of ['outbound', 'inbound'])
    for (const protocol of ['http', 'tcp']) {
      const chain = { snapshot: { config: defaultMeshConfig }, proxy, direction, protocol }
      for (const { value } of metricsPlugin.accessLogs({ ...chain, security: 'mutual_tls', port: 80 })) {
        const config = fromBinary(ConfigSchema, value.configType.value.value)
        const add = (type, { stat }) =>
          found.set(`${config.statsScope.prefix}_${stat.name}`, {
            type,
            protocol,
            labels: stat.tags.map(({ name }) => name),
          })
        for (const one of config.counters) add('counter', one)
        for (const one of config.histograms) add('histogram', one)
      }
    }
  return found
}

/** Metrics that are made in the sources, by the package that makes them. */
function ownMetrics(root) {
  const found = []
  const METER = /new (Counter|Gauge|Histogram)\(\{([\s\S]*?)\n? *\}\)/g
  for (const [file, text] of productSources(root)) {
    for (const [, type, inner] of text.matchAll(METER)) {
      const field = name =>
        new RegExp(`\\b${name}: ('(?:[^'\\\\]|\\\\.)*'|"(?:[^"\\\\]|\\\\.)*")`).exec(inner)?.[1]
      const name = field('name')
      const help = field('help')
      if (!name || !help) throw new Error(`${file}: a ${type} without a name or help that can be read`)
      const labels = /labelNames: \[([^\]]*)\]/.exec(inner)?.[1] ?? ''
      found.push({
        agent: file.startsWith('agent/'),
        name: literal(name),
        type: type.toLowerCase(),
        help: literal(help),
        labels: [...labels.matchAll(/'([^']+)'/g)].map(match => match[1]),
      })
    }
  }
  return found
}

function page(standard, own) {
  const http = [...standard.values()].find(({ protocol }) => protocol === 'http').labels
  const tcp = [...standard.values()].find(({ protocol }) => protocol === 'tcp').labels
  const labels = describe(new Set([...http, ...tcp]), LABELS, HERE)
  const metrics = describe(new Set(standard.keys()), STANDARD, HERE)
  const rows = agent =>
    own
      .filter(one => one.agent === agent)
      .map(({ name, type, labels: names, help }) => [code(name), type, names.map(code).join(', '), help])
  return `# Metrics

${NOTICE}

All are in Prometheus' text format. How to scrape them: [read metrics with Prometheus](../tasks/metrics.md).

## Of traffic

Every sidecar serves them on port 15020 at \`/stats/prometheus\`, under the names and with the labels that Istio
gives them. Both sides of a call report it: take one side only, or calls count twice.

${table(
  ['Metric', 'Type', 'For', 'Meaning'],
  metrics.map(([name, meaning]) => {
    const { type, protocol } = standard.get(name)
    return [code(name), type, protocol === 'http' ? 'HTTP, gRPC' : 'TCP', meaning]
  }),
)}

Labels, with the value \`unknown\` where a side can't tell:

${table(
  ['Label', 'Meaning', 'HTTP', 'TCP'],
  labels.map(([name, meaning]) => [
    code(name),
    meaning,
    http.includes(name) ? 'yes' : '',
    tcp.includes(name) ? 'yes' : '',
  ]),
)}

The destination knows the caller by its certificate only. It is citadel that puts the workload, namespace,
application and version there; a plaintext caller is \`unknown\`, whatever its headers say.

## Of a sidecar

On port 15020 beside those of traffic, with a choice of Envoy's own metrics (\`envoy_cluster_manager_*\`,
\`envoy_listener_manager_*\`, \`envoy_server_*\` …); Envoy's other metrics are turned off, for they cost memory for
each cluster.

${table(['Metric', 'Type', 'Labels', 'Meaning'], rows(true))}

## Of the control plane

On port 15014 at \`/metrics\`, on loopback.

${table(['Metric', 'Type', 'Labels', 'Meaning'], rows(false))}`
}
