import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mixerPlugins, outputOf } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { kindDefinitions } from './kinds.ts'
import { meshConfigSchema } from './mesh/mesh-config.ts'
import { meshNetworksSchema } from './mesh/mesh-networks.ts'
import { startSettings } from './mesh/start-settings.ts'
import { parseObject } from './parse/object.ts'
import { leafFields } from './parse/schema-walk.ts'
import { UNSUPPORTED } from './parse/unsupported.ts'

/**
 * No field may be taken and ignored. For each field of the schemas there is a golden case in which it matters:
 * when the field is taken away there, or given another value, what some proxy gets is another thing. A new field
 * needs a case, or has to be refused.
 */

const TESTDATA = fileURLToPath(new URL('../../pilot/traffic/testdata', import.meta.url))

/** Kinds whose every field must matter. Of Kubernetes' own kinds the mesh reads a part. */
const KINDS = [
  'VirtualService',
  'DestinationRule',
  'ServiceEntry',
  'WorkloadEntry',
  'WorkloadGroup',
  'PeerAuthentication',
  'AuthorizationPolicy',
  'Sidecar',
  'Gateway',
  'EnvoyFilter',
] as const

const GATEWAY_API = 'gateway.networking.k8s.io'
/** The same of the Gateway API, some of which are called as Istio's are. */
const GATEWAY_API_KINDS = [
  'GatewayClass',
  'Gateway',
  'ListenerSet',
  'HTTPRoute',
  'GRPCRoute',
  'TLSRoute',
  'TCPRoute',
  'ReferenceGrant',
  'BackendTLSPolicy',
] as const

type Path = readonly string[]

interface Case {
  readonly name: string
  readonly objects: readonly Json[]
  readonly proxies: string
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

const CASES: readonly Case[] = readdirSync(TESTDATA, { withFileTypes: true })
  .filter(entry => entry.isDirectory())
  .map(({ name }) => {
    const folder = join(TESTDATA, name)
    const texts = readdirSync(join(folder, 'in')).map(file => readFileSync(join(folder, 'in', file), 'utf8'))
    const objects = texts.flatMap(text => parseAllDocuments(text).map(document => document.toJS() as Json))
    return { name, objects, proxies: readFileSync(join(folder, 'proxy.yaml'), 'utf8') }
  })

/** The places in a value that a path leads to, as ways of steps. */
function placesOf(value: Json, [step, ...rest]: Path, at: (string | number)[] = []): (string | number)[][] {
  if (step === undefined) return [at]
  if (typeof value !== 'object' || value === null) return []
  if (step !== '*') {
    const inner = Array.isArray(value) ? undefined : value[step]
    return inner === undefined ? [] : placesOf(inner, rest, [...at, step])
  }
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return entries.flatMap(([key, inner]) => placesOf(inner, rest, [...at, key]))
}

/** A copy with another value at a place; undefined takes the place away. */
function changed(value: Json, [step, ...rest]: (string | number)[], replacement: Json | undefined): Json {
  if (step === undefined) return replacement ?? null
  if (Array.isArray(value)) {
    if (rest.length === 0 && replacement === undefined) return value.filter((_one, index) => index !== step)
    return value.map((one, index) => (index === step ? changed(one, rest, replacement) : one))
  }
  const object = value as { [key: string]: Json }
  const { [step]: inner, ...others } = object
  if (rest.length === 0 && replacement === undefined) return others
  return { ...object, [step]: changed(inner ?? null, rest, replacement) }
}

function valueAt(value: Json, place: readonly (string | number)[]): Json {
  return place.reduce<Json>((inner, step) => (inner as Record<string | number, Json>)[step] ?? null, value)
}

/** Values like the given one, of which validation takes some. */
function alternatives(value: Json): Json[] {
  if (typeof value === 'boolean') return [!value]
  if (typeof value === 'number') return [value + 1, value - 1, value / 2, 200, 302]
  if (typeof value !== 'string') return []
  const words = ENUMERATIONS.find(list => list.includes(value))
  return (
    words ?? [
      `${value}x`,
      '7s',
      '99',
      '10.99.0.0/16',
      '10.99.0.1',
      'http',
      'aGk=',
      'request.headers[x-other]',
    ]
  )
}

/** The words of the API's enumerations, those of one together. */
const ENUMERATIONS = [
  ['ROUND_ROBIN', 'RANDOM', 'LEAST_REQUEST', 'PASSTHROUGH'],
  ['NONE', 'DNS', 'DNS_ROUND_ROBIN', 'STATIC'],
  ['MESH_INTERNAL', 'MESH_EXTERNAL'],
  ['HTTP', 'HTTP2', 'TCP', 'TLS', 'GRPC', 'HTTPS', 'MONGO'],
  ['STRICT', 'PERMISSIVE', 'DISABLE', 'SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL', 'ISTIO_MUTUAL', 'UNSET'],
  ['TLS_AUTO', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'],
  ['IGNORE', 'FORWARD'],
  ['DEFAULT', 'UPGRADE', 'DO_NOT_UPGRADE'],
  ['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'],
  ['http', 'https'],
  ['ALLOW', 'DENY'],
  ['REGISTRY_ONLY', 'ALLOW_ANY'],
  ['ANY', 'ROUTE', 'REDIRECT', 'DIRECT_RESPONSE'],
  ['MERGE', 'ADD', 'REMOVE', 'INSERT_BEFORE', 'INSERT_AFTER', 'INSERT_FIRST', 'REPLACE'],
  ['LISTENER', 'LISTENER_FILTER', 'FILTER_CHAIN', 'HTTP_FILTER', 'NETWORK_FILTER'],
  ['SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY'],
  ['AUTHN', 'AUTHZ', 'STATS'],
  ['TEXT', 'JSON'],
  ['NOT_FOUND', 'ABORTED'],
  ['Exact', 'RegularExpression', 'PathPrefix'],
  ['All', 'Same', 'Selector', 'None'],
  ['Terminate', 'Passthrough'],
  ['AllowValidOnly', 'AllowInsecureFallback'],
  ['GET', 'POST'],
  ['Gateway', 'ListenerSet', 'HTTPRoute', 'GRPCRoute', 'TCPRoute', 'Service', 'Secret', 'ConfigMap', 'x'],
  ['IPAddress', 'Hostname', 'NamedAddress'],
  ['In', 'NotIn', 'Exists'],
]

/** Where a field of an object stands, and how an object with another value of it is made. */
interface Lens {
  open(object: Json): Json
  close(object: Json, next: Json): Json
  /** What the field can matter to. */
  readonly plugins: typeof mixerPlugins
}

/** Fields of an object itself: telemetry depends on none of them. */
const OWN: Lens = {
  open: object => object,
  close: (_object, next) => next,
  plugins: mixerPlugins.filter(({ name }) => name === 'authorization'),
}

/** Fields of what is YAML within a ConfigMap. */
const settings = (entry: 'mesh' | 'meshNetworks', plugins: Lens['plugins']): Lens => ({
  open: object => (parse(String(valueAt(object, ['data', entry]))) ?? {}) as Json,
  close: (object, next) => changed(object, ['data', entry], stringify(next)),
  plugins,
})

const SETTINGS = settings('mesh', mixerPlugins)
const NETWORKS = settings('meshNetworks', OWN.plugins)

/** Whether some change of the value at a place is valid and leads to another output. */
function matters(one: Case, index: number, place: (string | number)[], lens: Lens): boolean {
  const object = one.objects[index] as Json
  const value = valueAt(lens.open(object), place)
  const outputWith = (next: Json) =>
    outputOf(
      one.objects.map((other, at) => (at === index ? next : other)),
      one.proxies,
      lens.plugins,
    )
  const before = outputWith(object)
  return [undefined, ...alternatives(value)]
    .map(replacement => lens.close(object, changed(lens.open(object), place, replacement)))
    .some(next => parseObject(next).ok && outputWith(next) !== before)
}

/** Whether a golden case shows that a field of a kind matters. */
function isShown(kind: string, path: Path, lens: Lens, group?: string): boolean {
  return CASES.some(one =>
    one.objects.some((object, index) => {
      if (!isOfKind(object, kind, group)) return false
      return placesOf(lens.open(object), path).some(place => matters(one, index, place, lens))
    }),
  )
}

/** Whether a golden case shows that something as a whole is refused: without what holds it all is another thing. */
function isRefusalShown(kind: string, path: Path): boolean {
  return CASES.some(one =>
    one.objects.some((object, index) => {
      if (!isOfKind(object, kind, GATEWAY_API)) return false
      return placesOf(object, path).some(place => {
        const holder = place.slice(0, place.findLastIndex(step => typeof step === 'number') + 1)
        return [place, ...(holder.length > 0 ? [holder] : [])].some(at => {
          const next = changed(object, at, undefined)
          const objects = one.objects.map((other, own) => (own === index ? next : other))
          return (
            parseObject(next).ok &&
            outputOf(objects, one.proxies, OWN.plugins) !== outputOf(one.objects, one.proxies, OWN.plugins)
          )
        })
      })
    }),
  )
}

function isOfKind(object: Json, kind: string, group: string | undefined): boolean {
  const { kind: own, apiVersion = '' } = (object ?? {}) as { kind?: string; apiVersion?: string }
  return own === kind && (group === GATEWAY_API) === apiVersion.startsWith(`${GATEWAY_API}/`)
}

function isRefused(kind: string, path: Path): boolean {
  const patterns = (UNSUPPORTED as Record<string, readonly Path[]>)[kind] ?? []
  return patterns.some(pattern => pattern.every((step, index) => path[index] === step))
}

/** Fields that Istio's validation refuses whatever they hold: nothing ever implemented them. */
const NEVER_VALID = new Set([
  'VirtualService http.*.fault.delay.exponentialDelay',
  'VirtualService http.*.fault.abort.http2Error',
  'Gateway servers.*.port.targetPort',
  'Sidecar egress.*.port.targetPort',
  'Sidecar ingress.*.port.targetPort',
  'Sidecar ingress.*.tls.httpsRedirect',
  'EnvoyFilter targetRefs.*.namespace',
  'Sidecar ingress.*.tls.credentialName',
  'Sidecar ingress.*.tls.credentialNames.*',
  'Sidecar ingress.*.tls.subjectAltNames.*',
  ...['serverCertificate', 'privateKey', 'caCertificates'].map(
    field => `Sidecar ingress.*.tls.tlsCertificates.*.${field}`,
  ),
])

/** Fields that take one value only, so that there is no other to compare with. */
const ONE_VALUE = new Set([
  'VirtualService gateways.*', // "mesh", which is what a virtual service without gateways is for
  'DestinationRule trafficPolicy.loadBalancer.consistentHash.useSourceIp', // true
  'DestinationRule trafficPolicy.loadBalancer.localityLbSetting.distribute.*.to.*', // they add up to 100
  'ConfigMap localityLbSetting.distribute.*.to.*', // the same
  'EnvoyFilter targetRefs.*.group', // gateway.networking.k8s.io
  'EnvoyFilter targetRefs.*.kind', // Gateway
])

/** What only the tables of gateways are matched by: `patches/routes.test.ts` shows it. */
const OF_GATEWAYS = new Set([
  'EnvoyFilter configPatches.*.match.routeConfiguration.gateway',
  'EnvoyFilter configPatches.*.match.routeConfiguration.portName',
])

/** Names that people give to parts of an object, on which nothing depends. */
const NAMES = new Set([
  'Sidecar egress.*.port.name',
  'Sidecar ingress.*.port.name',
  'TCPRoute rules.*.name',
  'TLSRoute rules.*.name',
])

/** What a field is called wherever it stands: a policy is the same for all, for a subset and for a port. */
function nameOf(path: Path): string {
  return path
    .join('.')
    .replace(/^subsets\.\*\.trafficPolicy/, 'trafficPolicy')
    .replace('trafficPolicy.portLevelSettings.*', 'trafficPolicy')
    .replace(/\.(exact|prefix|regex)$/, '')
}

/** The ways to write each field of a kind that is neither refused, nor left with one value, nor just a name. */
function fieldsToShow(kind: string, group?: string): [name: string, ways: Path[]][] {
  const isMeant = (own: string) => (group === undefined ? own !== GATEWAY_API : own === group)
  const schema = kindDefinitions.find(one => one.kind === kind && isMeant(one.group))?.schema
  const found = new Map<string, Path[]>()
  for (const path of leafFields(schema)) {
    const name = nameOf(path)
    const full = `${kind} ${name}`
    if (group && (isTied(name) || refusalOf(name))) continue
    if (isRefused(kind, path) || [NEVER_VALID, ONE_VALUE, NAMES, OF_GATEWAYS].some(set => set.has(full)))
      continue
    found.set(name, [...(found.get(name) ?? []), path])
  }
  return [...found]
}

describe.each(KINDS)('%s', kind => {
  it.each(fieldsToShow(kind))(
    '%s matters in a golden case',
    (_name, ways) => {
      expect(ways.some(path => isShown(kind, ['spec', ...path], OWN))).toBe(true)
    },
    60_000,
  )
})

/** What the Gateway API has and a condition refuses, as a whole. */
const REFUSED_BY_CONDITION = [
  'rules.*.filters.*.externalAuth',
  'rules.*.filters.*.extensionRef',
  'rules.*.sessionPersistence',
  ...['externalAuth', 'extensionRef', 'requestMirror', 'requestRedirect', 'cors', 'urlRewrite.path'].map(
    field => `rules.*.backendRefs.*.filters.*.${field}`,
  ),
  'parametersRef',
  'infrastructure.parametersRef',
  'listeners.*.tls.options',
  'options',
]

function refusalOf(name: string): string | undefined {
  return REFUSED_BY_CONDITION.find(one => name === one || name.startsWith(`${one}.`))
}

/** Which other field is there decides about these; and a description is for people. */
function isTied(name: string): boolean {
  return (
    /(filters\.\*|path|subjectAltNames\.\*)\.type$/.test(name.replace('matches.*.path', 'matches')) ||
    name === 'description'
  )
}

describe.each(GATEWAY_API_KINDS)(`%s of ${GATEWAY_API}`, kind => {
  it.each(fieldsToShow(kind, GATEWAY_API))(
    '%s matters in a golden case',
    (_name, ways) => {
      expect(ways.some(path => isShown(kind, ['spec', ...path], OWN, GATEWAY_API))).toBe(true)
    },
    60_000,
  )

  const schema = kindDefinitions.find(one => one.kind === kind && one.group === GATEWAY_API)?.schema
  const refused = new Set(leafFields(schema).flatMap(path => refusalOf(nameOf(path)) ?? []))
  it.each([...refused])('%s is refused in a golden case', name => {
    expect(isRefusalShown(kind, ['spec', ...name.split('.')])).toBe(true)
  })
})

/** Settings that say what happens anyway: they have one value, or none. */
const FIXED = new Set([
  ...['proxyListenPort', 'proxyInboundListenPort', 'ingressControllerMode', 'enableEnvoyAccessLogService'],
  ...['verifyCertificateAtClient', 'disableEnvoyListenerLog', 'certificates', 'configSources'],
  ...['defaultProviders.metrics.*', 'serviceSettings.*.settings.clusterLocal', 'serviceSettings.*.hosts.*'],
  ...[
    'proxyAdminPort',
    'statusPort',
    'controlPlaneAuthPolicy',
    'interceptionMode',
    'sds.enabled',
    'statsCompression',
  ].map(name => `defaultConfig.${name}`),
])

/** Settings that only a warning comes of. */
const WARNED = new Set(['defaultConfig.discoveryAddress', 'defaultConfig.tracing.zipkin.address'])

/** Settings that a pod takes when it is injected: the injector's tests show them. */
const OF_STARTS = [
  'enablePrometheusMerge',
  'caCertificates',
  ...Object.keys(startSettings).map(name => `defaultConfig.${name}`),
]

/** Definitions that nothing can refer to here yet, or not with these fields: a warning, or an error where they are used. */
const UNUSED_DEFINITIONS =
  /^extensionProviders\.\*\.((?!envoyFileAccessLog|envoyOtelAls|opentelemetry|name)\w+|opentelemetry\.(resourceDetectors|serviceAttributeEnrichment|dynatraceSampler)\b.*|opentelemetry\..*envName)(\.|$)/

/** Fields that settings have in common with rules, and that are refused in settings. */
const OF_RULES = new Set(['outboundTrafficPolicy.tls.credentialName'])

function isShownElsewhere(name: string): boolean {
  return (
    OF_RULES.has(name) ||
    ONE_VALUE.has(`ConfigMap ${name}`) ||
    FIXED.has(name) ||
    WARNED.has(name) ||
    OF_STARTS.some(one => name === one || name.startsWith(`${one}.`)) ||
    UNUSED_DEFINITIONS.test(name)
  )
}

describe('the mesh’s settings', () => {
  it.each(
    leafFields(meshConfigSchema)
      .map(path => [path.join('.'), path] as const)
      .filter(([name]) => !isShownElsewhere(name)),
  )('%s matters in a golden case', (_name, path) => {
    expect(isShown('ConfigMap', path, SETTINGS)).toBe(true)
  })
})

describe('the mesh’s networks', () => {
  it.each(
    leafFields(meshNetworksSchema).map(path => [path.join('.'), path] as const),
  )('%s matters in a golden case', (_name, path) => {
    expect(isShown('ConfigMap', path, NETWORKS)).toBe(true)
  })
})
