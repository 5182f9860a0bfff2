// A page for each kind of configuration, from its zod schema: the one that validates it.
import { anchor, code, list, NOTICE, table } from './markdown.mjs'

/** What a kind is for, in words, and how far Seine takes it. */
const ABOUT = {
  VirtualService: 'How requests and connections to its hosts are routed, by the sidecar of the caller.',
  DestinationRule:
    'What applies to a service after routing: versions (subsets), load balancing, connection limits, ejection of failing endpoints, TLS.',
  ServiceEntry: 'A service that no platform lists, inside the mesh or outside of it.',
  WorkloadEntry: 'One workload that is no pod. A ServiceEntry or Service selects it by its labels.',
  PeerAuthentication:
    "Whether workloads take plaintext. The workload's own policy counts before its namespace's, and that before the mesh's, which stands in the root namespace; without any, PERMISSIVE holds.",
  AuthorizationPolicy:
    'Who may do what at a workload. A DENY policy that matches refuses; where an ALLOW policy applies to the workload, what none of them matches is refused; else all is allowed.',
  Gateway: 'The ports at which a gateway takes connections from outside, for which hosts, and their TLS.',
  WorkloadGroup: 'What the WorkloadEntries of several workloads that are no pods have in common.',
  Sidecar: 'What a sidecar knows: the ports it takes requests at, and the services its workload calls.',
  EnvoyFilter: "Changes to the configuration of Envoy itself, below Istio's API.",
  ProxyConfig: "Settings of workloads' proxies.",
  RequestAuthentication: 'Which tokens (JWT) requests to a workload may carry, and who issues them.',
  Telemetry: 'What proxies record: metrics, traces and access logs, and where to.',
  WasmPlugin: 'A WebAssembly module in the chain of filters of proxies.',
  GatewayClass: 'Who runs the Gateways that name it.',
  'Gateway.gateway.networking.k8s.io':
    'The ports at which a gateway takes connections from outside, and which routes may be attached to them.',
  ListenerSet: 'Further listeners of a Gateway, in the hands of somebody else.',
  HTTPRoute: 'How HTTP requests of a Gateway, or to a Service, are routed.',
  GRPCRoute: 'How gRPC calls are routed.',
  TLSRoute: 'How TLS connections are routed, by the name that the client asks for.',
  TCPRoute: 'How TCP connections are routed.',
  ReferenceGrant: 'Which objects of other namespaces may refer to objects of this one.',
  BackendTLSPolicy: 'How a gateway speaks TLS to a Service.',
}

const LIKE_DEPLOYMENT = ['StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job']

const KUBERNETES = {
  Service: "A service of the mesh's registry. Ports other than TCP are left out.",
  EndpointSlice:
    'Where a service is to be reached. Where a Service has slices, they count and not its selector.',
  Pod: 'A workload, with its address and readiness in `status`.',
  Deployment: 'Pods to run. Only the local runtime of the demo and `seinectl render` read it.',
  Namespace: "The label `istio-injection: enabled` gives the namespace's pods sidecars.",
  ServiceAccount: 'Accepted and not read: an identity follows from the name of the account in the pod.',
  ConfigMap:
    'The one called `istio` or `seine` in `istio-system` or `seine-system` holds the [settings of the mesh](mesh-config.md) and its [networks](mesh-networks.md).',
  ...Object.fromEntries(
    LIKE_DEPLOYMENT.map(kind => [
      kind,
      'Pods to run. Only `seinectl analyze` reads it: the fields of `spec.template`, as in a Deployment.',
    ]),
  ),
  Secret: 'Only `seinectl analyze` reads it: whether it is there, and whether its certificates are valid.',
  Node: 'Only `seinectl analyze` reads it: the labels that say in which region and zone it is.',
  CustomResourceDefinition:
    "Only `seinectl analyze` reads it: versions of Istio's and the Gateway API's kinds.",
  MutatingWebhookConfiguration:
    "Only `seinectl analyze` reads it: whether an injector's webhook leads anywhere.",
}

/** The name of a kind among ours: two groups have a Gateway. */
function nameOf({ kind, group }) {
  const longer = `${kind}.${group}`
  return longer in ABOUT ? longer : kind
}

/** The address of a kind's page. */
function pageOf(definition) {
  const { plural, group } = definition
  return nameOf(definition).includes('.') ? `${plural}.${group}.md` : `${plural}.md`
}

export async function configurationPages(root) {
  const { apiVersionOf, kindDefinitions } = await import(`${root}/api/dist/kinds.js`)
  const { meshConfigSchema } = await import(`${root}/api/dist/mesh/mesh-config.js`)
  const { meshNetworksSchema } = await import(`${root}/api/dist/mesh/mesh-networks.js`)
  const { UNSUPPORTED_SETTINGS } = await import(`${root}/api/dist/mesh/unsupported-settings.js`)
  const { UNSUPPORTED, UNSUPPORTED_KINDS, UNSUPPORTED_VALUES } = await import(
    `${root}/api/dist/parse/unsupported.js`
  )
  const ours = kindDefinitions.filter(one => nameOf(one) in ABOUT)
  const theirs = kindDefinitions.filter(({ kind }) => kind in KUBERNETES)
  const missing = kindDefinitions.filter(one => !ours.includes(one) && !theirs.includes(one))
  if (missing.length > 0)
    throw new Error(`tools/reference/configuration.mjs does not describe ${missing.map(({ kind }) => kind)}`)
  const isRefused = ({ group, kind }) => UNSUPPORTED_KINDS.has(`${group}/${kind}`)
  const pages = [['configuration.md', indexPage(ours, theirs, apiVersionOf, isRefused)]]
  for (const definition of ours)
    pages.push([
      `configuration/${pageOf(definition)}`,
      isRefused(definition)
        ? refusedPage(definition)
        : kindPage(definition, UNSUPPORTED[definition.kind] ?? [], UNSUPPORTED_VALUES[definition.kind] ?? []),
    ])
  pages.push(['configuration/kubernetes.md', kubernetesPage(theirs)])
  pages.push(['configuration/mesh-config.md', meshConfigPage(meshConfigSchema, UNSUPPORTED_SETTINGS)])
  pages.push(['configuration/mesh-networks.md', meshNetworksPage(meshNetworksSchema)])
  return pages
}

function indexPage(ours, theirs, apiVersionOf, isRefused) {
  const row = page => definition => [
    `[${definition.kind}](configuration/${page(definition)})`,
    code(apiVersionOf(definition)),
    definition.versions.slice(1).map(code).join(', '),
    code(definition.plural),
    definition.shortNames.map(code).join(', '),
  ]
  return `# Configuration

${NOTICE}

What a configuration folder may hold: YAML or JSON files (\`.yaml\`, \`.yml\`, \`.json\`, at most 16 MiB each) with
any number of objects. Fields and kinds that are not listed here are refused with their place in the file, and
so are fields of Istio's API that nothing translates yet; nothing is taken and ignored. Of Kubernetes' own kinds
the mesh reads the fields listed and leaves the rest alone.

${table(
  ['Kind', 'API version', 'Other versions', 'Plural', 'Short'],
  [
    ...ours.filter(one => !isRefused(one)).map(row(pageOf)),
    ...theirs.map(row(({ kind }) => `kubernetes.md#${anchor(kind)}`)),
  ],
)}

These belong to the APIs and are not translated yet. \`seinectl validate\` checks them, says so, and \`seinectl
analyze\` reads them; the mesh refuses them.

${table(['Kind', 'API version', 'Other versions', 'Plural', 'Short'], ours.filter(isRefused).map(row(pageOf)))}

[Settings of the mesh as a whole](configuration/mesh-config.md), and [its networks](configuration/mesh-networks.md),
stand in a ConfigMap.`
}

function kindPage(definition, refused, refusedValues) {
  const { kind, group, versions } = definition
  const apis = list(versions.map(version => code(`${group}/${version}`)))
  const rows = fieldsOf(definition.schema, 'spec').map(field => {
    const steps = field.path.replace('spec.', '')
    const whole = refused.find(pattern => covers(pattern, steps))
    const values = refusedValues.filter(([pattern]) => pattern.join('.') === starred(steps))
    return [
      code(field.path),
      field.type,
      meaningOf(field),
      whole
        ? 'refused'
        : values.length > 0
          ? `yes, except ${list(values.map(([, value]) => code(value)))}`
          : 'yes',
    ]
  })
  return `# ${kind}

${NOTICE}

${ABOUT[kind]} API versions: ${apis}.

\`[]\` stands for an item of a list, \`{}\` for a value of a map. A field marked *refused* belongs to the API and is
not translated yet: an object that uses it is refused.

${table(['Field', 'Type', 'Meaning', 'Supported'], rows)}`
}

function refusedPage(definition) {
  const { group, versions } = definition
  const rows = fieldsOf(definition.schema, 'spec').map(field => [
    code(field.path),
    field.type,
    meaningOf(field),
  ])
  return `# ${nameOf(definition)}

${NOTICE}

${ABOUT[nameOf(definition)]} API versions: ${list(versions.map(version => code(`${group}/${version}`)))}.

**Not translated yet**: \`seinectl validate\` checks objects of this kind, and the mesh refuses them.

\`[]\` stands for an item of a list, \`{}\` for a value of a map.

${table(['Field', 'Type', 'Meaning'], rows)}`
}

function kubernetesPage(definitions) {
  const sections = definitions.map(({ kind, schema, body }) => {
    const rows = fieldsOf(schema, body === 'spec' ? 'spec' : '').map(field => [
      code(field.path),
      field.type,
      meaningOf(field),
    ])
    const fields =
      rows.length > 0 && !LIKE_DEPLOYMENT.includes(kind)
        ? `\n\n${table(['Field', 'Type', 'Meaning'], rows)}`
        : ''
    return `## ${kind}\n\n${KUBERNETES[kind]}${fields}`
  })
  return `# Kubernetes' kinds

${NOTICE}

The fields that the mesh reads. Others are left alone, whatever they hold.

${sections.join('\n\n')}`
}

function meshConfigPage(schema, refused) {
  const rows = fieldsOf(schema, '').map(field => [
    code(field.path),
    field.type,
    field.default === undefined ? '' : code(JSON.stringify(field.default)),
    meaningOf(field),
  ])
  return `# Settings of the mesh

${NOTICE}

They stand as YAML under \`data.mesh\` of a ConfigMap called \`istio\` in \`istio-system\` (or called \`seine\`, or in
\`seine-system\`). What is left out has its default. Settings that can't be read are reported, and the last good
ones stay in force.

${table(['Field', 'Type', 'Default', 'Meaning'], rows)}

These are settings of Istio's that are refused, with this reason:

${table(
  ['Field', 'Why, or what to do'],
  Object.entries(refused).map(([path, reason]) => [code(path), reason]),
)}

\`\`\`yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: istio
  namespace: istio-system
data:
  mesh: |
    outboundTrafficPolicy:
      mode: REGISTRY_ONLY
    defaultConfig:
      tracing:
        sampling: 1
\`\`\``
}

function meshNetworksPage(schema) {
  const rows = fieldsOf(schema, '').map(field => [code(field.path), field.type, meaningOf(field)])
  return `# Networks of the mesh

${NOTICE}

They stand as YAML under \`data.meshNetworks\` of the ConfigMap that holds the [settings of the mesh](mesh-config.md), or of
another one of the names that this may have. Networks that can't be read are reported, and the last good ones stay in
force. How they are used is in [several networks](../../tasks/networks.md). What says itself which network it is in, by the
label \`topology.istio.io/network\` or an entry's \`network\`, is in that one, and no workload has to be listed here: the label
on the root namespace is for all others. Services with the label are gateways beside those that are listed here.

${table(['Field', 'Type', 'Meaning'], rows)}

\`\`\`yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: istio
  namespace: istio-system
data:
  meshNetworks: |
    networks:
      machines:
        endpoints:
          - fromCidr: 192.168.0.0/16
        gateways:
          - address: 203.0.113.7
            port: 15443
\`\`\``
}

function meaningOf({ description, needed, like }) {
  return [
    needed ? 'Needed.' : '',
    description ? `${description.replace(/\.$/, '')}.` : '',
    like ? `Its fields are those of ${code(like)}.` : '',
  ]
    .filter(Boolean)
    .join(' ')
}

/**
 * Every field of a schema, parents first: path, type in words, description, default, whether it is needed. An
 * object that several fields share is taken apart at the first of them.
 */
function fieldsOf(schema, prefix) {
  const fields = []
  const shown = new Map()
  const walk = (type, path, parent) => {
    const { inner } = unwrap(type)
    const definition = inner._zod.def
    if (definition.type === 'array') walk(definition.element, `${path}[]`, parent)
    else if (definition.type === 'record') walk(definition.valueType, `${path}{}`, parent)
    else if (definition.type === 'object') {
      const first = shown.get(inner)
      if (first !== undefined && parent) parent.like = first
      else shown.set(inner, path)
      if (first !== undefined) return
      for (const [name, field] of Object.entries(definition.shape)) {
        const at = path === '' ? name : `${path}.${name}`
        const { description, optional, fallback } = unwrap(field)
        const row = { path: at, type: typeName(field), description, needed: !optional, default: fallback }
        fields.push(row)
        walk(field, at, row)
      }
    }
  }
  walk(schema, prefix)
  return fields
}

/** A schema without its wrappers, with what they said. */
function unwrap(schema) {
  let inner = schema
  let description = schema.description
  let optional = false
  let fallback
  for (;;) {
    const definition = inner._zod.def
    if (!['optional', 'nullable', 'default', 'prefault', 'readonly', 'pipe'].includes(definition.type)) break
    if (definition.type !== 'readonly' && definition.type !== 'pipe') optional = true
    if (definition.type === 'default') fallback = definition.defaultValue
    inner = definition.innerType ?? definition.in
    description ??= inner.description
  }
  return { inner, description, optional, fallback }
}

function typeName(schema) {
  const { inner } = unwrap(schema)
  const definition = inner._zod.def
  const title = inner.meta()?.title
  if (title) return title
  switch (definition.type) {
    case 'array':
      return `list of ${plural(typeName(definition.element))}`
    case 'record':
      return `map of ${plural(typeName(definition.valueType))}`
    case 'object':
      return 'object'
    case 'enum':
      return list(Object.values(definition.entries).map(code)).replace(/ and (?=[^ ]*$)/, ' or ')
    case 'union':
      return [...new Set(definition.options.map(typeName))].join(' or ')
    case 'literal':
      return definition.values.map(value => code(String(value))).join(' or ')
    case 'number':
      return /int/.test(definition.format ?? '') ? 'integer' : 'number'
    default:
      return definition.type
  }
}

function plural(word) {
  return /^[a-z ]+$/.test(word) ? `${word}s` : word
}

/** `http[].match[].headers{}.exact` → `http.*.match.*.headers.*.exact`. */
function starred(path) {
  return path.replaceAll('[]', '.*').replaceAll('{}', '.*')
}

/** Whether a pattern of refused fields holds for a field or one of its parents. */
function covers(pattern, path) {
  const steps = starred(path).split('.')
  return pattern.length <= steps.length && pattern.every((step, index) => step === steps[index])
}
