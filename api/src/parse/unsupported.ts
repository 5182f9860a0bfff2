import { isHttpProtocol, UNIX_PREFIX } from '../fields/names.ts'
import type { KindDefinition } from '../kind-definition.ts'
import type { Kind } from '../mesh-resource.ts'
import { type EnvoyFilterSpec, filterClassProblem, operationProblem } from '../networking/envoy-filter.ts'
import { imageTypeProblem, type ProxyConfigSpec } from '../networking/proxy-config.ts'
import type { SidecarSpec } from '../networking/sidecar.ts'
import type { AuthorizationPolicySpec } from '../security/authorization-policy.ts'
import { formatPath } from './field-path.ts'

/** A pattern over field paths: `*` stands for one step, a list index or a map key. */
type Pattern = readonly string[]

const path = (text: string): Pattern => text.split('.')

/** Both places where a DestinationRule holds a policy, and the ports' own below each. */
const POLICIES = ['trafficPolicy', 'subsets.*.trafficPolicy']
const PORT_POLICIES = POLICIES.flatMap(policy => [policy, `${policy}.portLevelSettings.*`])

/**
 * Kinds that belong to the API and that nothing translates yet, as `group/Kind`. An object of one is valid and
 * refused all the same, as with {@link UNSUPPORTED} fields. What takes up a kind removes its line here.
 */
export const UNSUPPORTED_KINDS: ReadonlySet<string> = new Set([
  'security.istio.io/RequestAuthentication',
  'telemetry.istio.io/Telemetry',
  'extensions.istio.io/WasmPlugin',
])

/**
 * Fields that belong to the API and that nothing translates yet. A resource that uses one is refused: the
 * alternative, taking it and ignoring the field, would let people believe in something that does not happen.
 */
export const UNSUPPORTED: Partial<Record<Kind, readonly Pattern[]>> = {
  DestinationRule: [...PORT_POLICIES.flatMap(policy => [path(`${policy}.loadBalancer.zoneAwareLbSetting`)])],
  EnvoyFilter: [path('configPatches.*.match.listener.portName'), path('configPatches.*.match.waypoint')],
  WorkloadGroup: [path('template.address')],
  // Istio's kind and the Gateway API's of the same name: neither has the other's fields.
  Gateway: [
    path('servers.*.defaultEndpoint'),
    path('servers.*.tls.tlsCertificates.*.caCertificates'),
    path('infrastructure.labels'),
    path('infrastructure.annotations'),
    path('defaultScope'),
  ],
  HTTPRoute: [path('useDefaultGateways')],
  GRPCRoute: [path('useDefaultGateways')],
  TLSRoute: [path('useDefaultGateways')],
  TCPRoute: [path('useDefaultGateways')],
  AuthorizationPolicy: [
    path('targetRef'),
    path('targetRefs'),
    path('provider'),
    path('rules.*.from.*.source.requestPrincipals'),
    path('rules.*.from.*.source.notRequestPrincipals'),
    path('rules.*.from.*.source.trustDomains'),
    path('rules.*.from.*.source.notTrustDomains'),
  ],
}

const LABELLED = ': no workloads are made of a Gateway here, so write them where its workloads are deployed'

/** Why fields are not supported, and what to write instead, by their names. */
const REASONS: Readonly<Record<string, string>> = {
  address: ': each workload that registers has its own',
  defaultEndpoint:
    ": a gateway sends nothing where no route leads, and neither does Istio's; write a VirtualService",
  caCertificates:
    ' for each certificate: a server checks clients by one list, which is the caCertificates beside tlsCertificates',
  zoneAwareLbSetting:
    ': a sidecar would have to know how many of its own kind there are in each zone; localityLbSetting prefers endpoints by place',
  labels: LABELLED,
  annotations: LABELLED,
  portName: ', as nothing ever matched by it, in Istio neither: use portNumber',
  waypoint: ': there are no waypoints in a mesh of sidecars',
}

/** Values that nothing translates yet, of fields that take others. */
export const UNSUPPORTED_VALUES: Partial<Record<Kind, readonly (readonly [Pattern, value: string])[]>> = {
  EnvoyFilter: [[path('configPatches.*.match.context'), 'WAYPOINT']],
  AuthorizationPolicy: [
    [path('action'), 'CUSTOM'],
    [path('action'), 'AUDIT'],
  ],
}

const CONDITION =
  /^(source\.(ip|namespace|principal)|remote\.ip|destination\.(ip|port)|connection\.sni|request\.headers\[[^\]]+\])$/

/** A use of the API that is refused. The path is one below `spec`, and empty for the whole kind. */
export interface Unsupported {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** What a valid object uses that is not supported yet. */
export function unsupported({ kind, group }: KindDefinition, spec: unknown): Unsupported[] {
  return UNSUPPORTED_KINDS.has(`${group}/${kind}`)
    ? [{ path: [], message: `${kind} is not supported yet` }]
    : unsupportedFields(kind, spec)
}

function unsupportedFields(kind: Kind, spec: unknown): Unsupported[] {
  const found = (UNSUPPORTED[kind] ?? []).flatMap(pattern => occurrences(spec, pattern, []))
  const fields = found.map(at => ({
    path: at,
    message: `${formatPath(at.filter(step => typeof step !== 'number').slice(-1))} is not supported${REASONS[String(at.at(-1))] ?? ' yet'}`,
  }))
  return [...fields, ...unsupportedValues(kind, spec)]
}

function occurrences(
  value: unknown,
  [step, ...rest]: Pattern,
  at: readonly PropertyKey[],
): (readonly PropertyKey[])[] {
  if (step === undefined) return [at]
  if (typeof value !== 'object' || value === null) return []
  if (step !== '*')
    return step in value ? occurrences((value as Record<string, unknown>)[step], rest, [...at, step]) : []
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return entries.flatMap(([key, inner]) => occurrences(inner, rest, [...at, key]))
}

function unsupportedValues(kind: Kind, spec: unknown): Unsupported[] {
  const found = (UNSUPPORTED_VALUES[kind] ?? []).flatMap(([pattern, value]) =>
    occurrences(spec, pattern, [])
      .filter(at => String(valueAt(spec, at)).toUpperCase() === value)
      .map(at => ({ path: at, message: `${value} is not supported yet` })),
  )
  if (kind === 'EnvoyFilter') return [...found, ...unsupportedPatches(spec as EnvoyFilterSpec)]
  if (kind === 'Sidecar')
    return [
      ...found,
      ...unsupportedSockets(spec as SidecarSpec),
      ...ownPorts(spec),
      ...unsupportedIngress(spec as SidecarSpec),
    ]
  if (kind === 'ProxyConfig') return [...found, ...unsupportedImage(spec as ProxyConfigSpec)]
  if (kind === 'AuthorizationPolicy')
    return [...found, ...unsupportedConditions(spec as AuthorizationPolicySpec)]
  return found
}

/** Ports that Envoy listens on for itself. */
const OWN_PORTS: ReadonlySet<unknown> = new Set([15001, 15006, 15090])

function ownPorts(spec: unknown): Unsupported[] {
  return ['egress.*.port.number', 'ingress.*.port.number']
    .flatMap(pattern => occurrences(spec, path(pattern), []))
    .filter(at => OWN_PORTS.has(valueAt(spec, at)))
    .map(at => ({ path: at, message: `the sidecar needs port ${valueAt(spec, at)} for itself` }))
}

/** What a patch would be taken for and not do. Sidecars have no targets, in Istio neither. */
function unsupportedPatches({ configPatches, targetRefs }: EnvoyFilterSpec): Unsupported[] {
  const targets = (targetRefs ?? []).flatMap(({ kind }, index): Unsupported[] =>
    kind === 'Gateway'
      ? []
      : [
          {
            path: ['targetRefs', index, 'kind'],
            message: `a ${kind} is a target for waypoints, of which there are none here: name a Gateway, or select workloads by labels`,
          },
        ],
  )
  const patches = (configPatches ?? []).flatMap((patch, index): Unsupported[] => {
    const at = ['configPatches', index, 'patch']
    const operation = operationProblem(patch)
    const filterClass = filterClassProblem(patch)
    return [
      ...(operation ? [{ path: [...at, 'operation'], message: operation }] : []),
      ...(filterClass ? [{ path: [...at, 'filterClass'], message: filterClass }] : []),
    ]
  })
  return [...targets, ...patches]
}

function unsupportedImage({ image }: ProxyConfigSpec): Unsupported[] {
  const message = imageTypeProblem(image?.imageType)
  return message ? [{ path: ['image', 'imageType'], message }] : []
}

function unsupportedIngress({ ingress }: SidecarSpec): Unsupported[] {
  return (ingress ?? []).flatMap(({ bind, captureMode, defaultEndpoint, tls }, index): Unsupported[] => [
    ...(captureMode === 'NONE' && (bind === '0.0.0.0' || bind === '::')
      ? [
          {
            path: ['ingress', index, 'bind'],
            message: `${bind} would take what the workload sends to this port as well: leave it out for the workload's own address`,
          },
        ]
      : []),
    ...(captureMode === 'NONE' && !defaultEndpoint
      ? [{ path: ['ingress', index], message: 'a listener on a socket of its own needs a defaultEndpoint' }]
      : []),
    ...(tls && (tls.mode ?? 'PASSTHROUGH') === 'PASSTHROUGH'
      ? [
          {
            path: ['ingress', index, 'tls'],
            message: 'TLS is ended here in mode SIMPLE, MUTUAL or OPTIONAL_MUTUAL',
          },
        ]
      : []),
  ])
}

/** What comes by a socket has no address that it was meant for: only requests say that. */
function unsupportedSockets({ egress }: SidecarSpec): Unsupported[] {
  return (egress ?? []).flatMap(({ bind, port }, index) =>
    bind?.startsWith(UNIX_PREFIX) && !isHttpProtocol(port?.protocol)
      ? {
          path: ['egress', index, 'port', 'protocol'],
          message: `connections by a Unix domain socket do not say where they go: use HTTP, or a port for ${port?.protocol}`,
        }
      : [],
  )
}

function unsupportedConditions({ rules }: AuthorizationPolicySpec) {
  return (rules ?? []).flatMap((rule, index) =>
    (rule.when ?? []).flatMap(({ key }, at) =>
      CONDITION.test(key)
        ? []
        : [
            {
              path: ['rules', index, 'when', at, 'key'],
              message: `the condition ${key} is not supported yet`,
            },
          ],
    ),
  )
}

function valueAt(value: unknown, at: readonly PropertyKey[]): unknown {
  return at.reduce((inner, step) => (inner as Record<PropertyKey, unknown>)[step], value)
}
