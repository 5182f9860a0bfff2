import type { JsonObject } from '@bufbuild/protobuf'
import { messageFromJson, messageType, ruleMistake } from '@seine/envoy'
import { z } from 'zod'
import { labelsSelectorField, policyTargetField } from '../fields/selectors.ts'
import { countField, oneOf, portField } from '../fields.ts'
import { re2Problem } from '../re2.ts'
import type { Resource } from '../resource.ts'
import { type FieldPath, type Findings, type Rules, warnEmptySelector } from '../rules.ts'

const subFilter = z.strictObject({ name: z.string().optional() })
const filterMatch = z.strictObject({ name: z.string().optional(), subFilter: subFilter.optional() })

const listenerMatch = z.strictObject({
  portNumber: countField.optional(),
  portName: z.string().optional(),
  filterChain: z
    .strictObject({
      name: z.string().optional(),
      sni: z.string().optional(),
      transportProtocol: z.string().optional(),
      applicationProtocols: z.string().optional(),
      filter: filterMatch.optional(),
      destinationPort: countField.optional(),
    })
    .optional(),
  listenerFilter: z.string().optional(),
  name: z.string().optional(),
})

const routeConfigurationMatch = z.strictObject({
  portNumber: countField.optional(),
  portName: z.string().optional(),
  gateway: z.string().optional(),
  vhost: z
    .strictObject({
      name: z.string().optional(),
      domainName: z.string().optional(),
      route: z
        .strictObject({
          name: z.string().optional(),
          action: z.enum(['ANY', 'ROUTE', 'REDIRECT', 'DIRECT_RESPONSE']).optional(),
        })
        .optional(),
    })
    .optional(),
  name: z.string().optional(),
})

const clusterMatch = z.strictObject({
  portNumber: countField.optional(),
  service: z.string().optional(),
  subset: z.string().optional(),
  name: z.string().optional(),
})

const match = z
  .strictObject({
    context: z.enum(['ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY', 'WAYPOINT']).optional(),
    proxy: z
      .strictObject({
        proxyVersion: z.string().optional(),
        metadata: z.record(z.string(), z.string()).optional(),
      })
      .optional(),
    listener: listenerMatch.optional(),
    routeConfiguration: routeConfigurationMatch.optional(),
    cluster: clusterMatch.optional(),
    waypoint: z
      .strictObject({
        portNumber: portField.optional(),
        filter: filterMatch.optional(),
        route: z.strictObject({ name: z.string().optional() }).optional(),
      })
      .optional(),
  })
  .superRefine(oneOf(['listener', 'routeConfiguration', 'cluster', 'waypoint']))
  .refine(({ context, waypoint }) => (context === 'WAYPOINT') === (waypoint !== undefined), {
    path: ['waypoint'],
    message: 'goes with context WAYPOINT, and the context with it',
  })

const configPatch = z.strictObject({
  applyTo: z
    .enum([
      'LISTENER',
      'FILTER_CHAIN',
      'NETWORK_FILTER',
      'HTTP_FILTER',
      'ROUTE_CONFIGURATION',
      'VIRTUAL_HOST',
      'HTTP_ROUTE',
      'CLUSTER',
      'EXTENSION_CONFIG',
      'BOOTSTRAP',
      'LISTENER_FILTER',
    ])
    .describe(
      'What is patched. `BOOTSTRAP` takes effect when an Envoy starts: its agent asks for it before; `EXTENSION_CONFIG` is for filters that get their configuration by itself',
    ),
  match: match.optional(),
  patch: z
    .strictObject({
      operation: z.enum([
        'MERGE',
        'ADD',
        'REMOVE',
        'INSERT_BEFORE',
        'INSERT_AFTER',
        'INSERT_FIRST',
        'REPLACE',
        'MERGE_AND_REPLACE_LIST',
      ]),
      value: z.record(z.string(), z.unknown()).optional(),
      filterClass: z
        .enum(['UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS'])
        .optional()
        .describe(
          'Where among filters ADD puts an HTTP_FILTER or a NETWORK_FILTER: AUTHN after those that tell who calls, AUTHZ after those that decide who may, STATS as the last before the one that ends the chain; in the order of the patches within a class. Without it, at the end',
        ),
    })
    .refine(({ operation, value }) => operation === 'REMOVE' || value !== undefined, {
      path: ['value'],
      message: 'is needed for every operation but REMOVE',
    }),
})

/** Istio `EnvoyFilter`: patches of the configuration that is generated for Envoy. */
export const envoyFilterSpec = z
  .strictObject({
    workloadSelector: labelsSelectorField.optional(),
    targetRefs: z
      .array(policyTargetField)
      .max(16, 'at most 16 targets')
      .optional()
      .describe(
        'Gateways of the Gateway API, of its namespace, whose proxies it is for. Other kinds are targets for waypoints only',
      ),
    configPatches: z.array(configPatch).optional(),
    priority: z.int().min(-0x80000000).max(0x7fffffff).optional(),
  })
  .superRefine(oneOf(['workloadSelector', 'targetRefs']))

export type EnvoyFilterSpec = z.infer<typeof envoyFilterSpec>
export type EnvoyFilter = Resource<'EnvoyFilter', EnvoyFilterSpec>
export type EnvoyConfigPatch = z.infer<typeof configPatch>

const HTTP_CONNECTION_MANAGER = 'envoy.filters.network.http_connection_manager'
/** What the filters that may hold others have been called. */
const HAS_SUB_FILTERS: ReadonlySet<string> = new Set([
  HTTP_CONNECTION_MANAGER,
  'envoy.http_connection_manager',
])
/** Longer version patterns are not compiled, Istio says; they match nothing. */
const LONGEST_VERSION = 1024

/** What each kind of object is matched by. */
const MATCHED_BY: Readonly<
  Partial<Record<EnvoyConfigPatch['applyTo'], 'listener' | 'routeConfiguration' | 'cluster'>>
> = {
  LISTENER: 'listener',
  FILTER_CHAIN: 'listener',
  NETWORK_FILTER: 'listener',
  HTTP_FILTER: 'listener',
  ROUTE_CONFIGURATION: 'routeConfiguration',
  VIRTUAL_HOST: 'routeConfiguration',
  HTTP_ROUTE: 'routeConfiguration',
  CLUSTER: 'cluster',
}

/** What Istio's validation requires of an EnvoyFilter, beyond its fields. */
export const envoyFilterRules: Rules<EnvoyFilterSpec> = (spec, findings) => {
  findings.warn(
    [],
    'an EnvoyFilter depends on how configuration is generated, which may change with every version',
  )
  if (spec.workloadSelector) warnEmptySelector(spec.workloadSelector.labels, ['workloadSelector'], findings)
  for (const [index, patch] of (spec.configPatches ?? []).entries()) {
    const path = ['configPatches', index]
    checkMatch(patch, [...path, 'match'], findings)
    if (checkTypes(patch.patch.value, [...path, 'patch', 'value'], findings)) continue
    checkValue(patch, [...path, 'patch', 'value'], findings)
  }
}

function checkMatch({ applyTo, match }: EnvoyConfigPatch, path: FieldPath, findings: Findings): void {
  if (!match || match.context === 'WAYPOINT') return
  const version = match.proxy?.proxyVersion ?? ''
  const versionPath = [...path, 'proxy', 'proxyVersion']
  const problem = re2Problem(version)
  if (version.length > LONGEST_VERSION) findings.warn(versionPath, 'is too long to be matched')
  else if (problem) findings.error(versionPath, `is no valid regular expression: ${problem}`)
  const wanted = MATCHED_BY[applyTo]
  for (const field of ['listener', 'routeConfiguration', 'cluster'] as const)
    if (wanted && match[field] && field !== wanted)
      findings.error([...path, field], `${applyTo} is matched by ${wanted}`)
  if (wanted === 'listener') checkFilterMatch(match.listener?.filterChain?.filter, applyTo, path, findings)
}

function checkFilterMatch(
  filter: z.infer<typeof filterMatch> | undefined,
  applyTo: string,
  path: FieldPath,
  findings: Findings,
): void {
  if (!filter) return
  const at = [...path, 'listener', 'filterChain', 'filter']
  if (applyTo === 'LISTENER' || applyTo === 'FILTER_CHAIN') findings.warn(at, `has no effect on ${applyTo}`)
  if (!filter.name) findings.error([...at, 'name'], 'a name is needed to match by')
  else if (filter.name.startsWith('envoy.') && !filter.name.startsWith('envoy.filters.'))
    findings.warn(
      [...at, 'name'],
      `${filter.name} is the old name of a filter: use the one that begins with envoy.filters.`,
    )
  if (!filter.subFilter) return
  if (applyTo !== 'HTTP_FILTER') findings.error([...at, 'subFilter'], 'goes with applyTo HTTP_FILTER only')
  else if (filter.name && !HAS_SUB_FILTERS.has(filter.name))
    findings.error([...at, 'subFilter'], `goes with the filter ${HTTP_CONNECTION_MANAGER} only`)
  else if (!filter.subFilter.name)
    findings.error([...at, 'subFilter', 'name'], 'a name is needed to match by')
}

/** Envoy has dropped the second version of its API. @returns whether the value asks for it. */
function checkTypes(value: unknown, path: FieldPath, findings: Findings): boolean {
  if (typeof value !== 'object' || value === null) return false
  let found = false
  for (const [key, inner] of Array.isArray(value) ? value.entries() : Object.entries(value)) {
    const at = [...path, key]
    if (key !== '@type' || typeof inner !== 'string') found = checkTypes(inner, at, findings) || found
    else if (/\.v2(alpha|beta)?\d*\./.test(inner)) {
      findings.error(at, `Envoy no longer knows ${inner}: use the type of the v3 API`)
      found = true
    }
  }
  return found
}

/** The message that each kind of object is. */
export const PATCHED_MESSAGES: Readonly<Record<EnvoyConfigPatch['applyTo'], string>> = {
  LISTENER: 'envoy.config.listener.v3.Listener',
  FILTER_CHAIN: 'envoy.config.listener.v3.FilterChain',
  NETWORK_FILTER: 'envoy.config.listener.v3.Filter',
  LISTENER_FILTER: 'envoy.config.listener.v3.ListenerFilter',
  HTTP_FILTER: 'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter',
  ROUTE_CONFIGURATION: 'envoy.config.route.v3.RouteConfiguration',
  VIRTUAL_HOST: 'envoy.config.route.v3.VirtualHost',
  HTTP_ROUTE: 'envoy.config.route.v3.Route',
  CLUSTER: 'envoy.config.cluster.v3.Cluster',
  EXTENSION_CONFIG: 'envoy.config.core.v3.TypedExtensionConfig',
  BOOTSTRAP: 'envoy.config.bootstrap.v3.Bootstrap',
}

type Operation = EnvoyConfigPatch['patch']['operation']
const MERGES: readonly Operation[] = ['MERGE', 'MERGE_AND_REPLACE_LIST']
const INSERTS: readonly Operation[] = ['INSERT_BEFORE', 'INSERT_AFTER', 'INSERT_FIRST']

/** What can be done to each. Where the order means nothing, inserting is adding. */
const OPERATIONS: Readonly<Record<EnvoyConfigPatch['applyTo'], readonly Operation[]>> = {
  LISTENER: [...MERGES, 'ADD', 'REMOVE', ...INSERTS],
  FILTER_CHAIN: [...MERGES, 'ADD', 'REMOVE', ...INSERTS],
  NETWORK_FILTER: [...MERGES, 'ADD', 'REMOVE', 'REPLACE', ...INSERTS],
  LISTENER_FILTER: [...MERGES, 'ADD', 'REMOVE', 'REPLACE', ...INSERTS],
  HTTP_FILTER: [...MERGES, 'ADD', 'REMOVE', 'REPLACE', ...INSERTS],
  ROUTE_CONFIGURATION: MERGES,
  VIRTUAL_HOST: [...MERGES, 'ADD', 'REMOVE', 'REPLACE', ...INSERTS],
  HTTP_ROUTE: [...MERGES, 'ADD', 'REMOVE', ...INSERTS],
  CLUSTER: [...MERGES, 'ADD', 'REMOVE', ...INSERTS],
  EXTENSION_CONFIG: ['ADD', ...INSERTS],
  BOOTSTRAP: MERGES,
}

/** Whether a patch does something to what it applies to. */
export function hasEffect({ applyTo, patch: { operation } }: EnvoyConfigPatch): boolean {
  // Of an object that is refused already, the words may be any.
  const taken = OPERATIONS[applyTo] as readonly Operation[] | undefined
  return !taken || taken.includes(operation)
}

/** Why a patch would do nothing, where its operation is none for what it applies to. */
export function operationProblem(patch: EnvoyConfigPatch): string | undefined {
  const { applyTo } = patch
  return hasEffect(patch)
    ? undefined
    : `${patch.patch.operation} does nothing to ${applyTo}: it takes ${OPERATIONS[applyTo].join(', ')}`
}

/** Why the class of a filter would mean nothing: it says where among filters one is added. */
export function filterClassProblem({ applyTo, patch }: EnvoyConfigPatch): string | undefined {
  const { operation, filterClass = 'UNSPECIFIED' } = patch
  if (filterClass === 'UNSPECIFIED') return undefined
  return operation === 'ADD' && (applyTo === 'HTTP_FILTER' || applyTo === 'NETWORK_FILTER')
    ? undefined
    : 'a class goes with the operation ADD of an HTTP_FILTER or a NETWORK_FILTER only'
}

function checkValue({ applyTo, patch }: EnvoyConfigPatch, path: FieldPath, findings: Findings): void {
  const { operation, value } = patch
  if (operation === 'REMOVE' || value === undefined) return
  const name = PATCHED_MESSAGES[applyTo]
  const read = messageFromJson(name, value as JsonObject)
  if (read.ok) {
    const isWhole = ['LISTENER', 'CLUSTER', 'EXTENSION_CONFIG', 'VIRTUAL_HOST'].includes(applyTo)
    const isPart = MERGES.includes(operation)
    const mistake = ruleMistake(messageType(name), read.value, value as JsonObject, isPart)
    if (isWhole && !isPart && !value['name'])
      findings.error([...path, 'name'], `a ${applyTo} that is added needs a name`)
    else if (mistake) findings.error([...path, ...mistake.path], `Envoy does not take it: ${mistake.reason}`)
    else if (applyTo === 'LISTENER' && !isPart && !value['address'])
      findings.error(path, 'a listener that is added needs an address')
  } else findings.error([...path, ...read.error.path], `Envoy does not take it: ${read.error.reason}`)
}
