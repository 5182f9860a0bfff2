import type { Provenance } from '@seine/envoy'
import type { Listener } from '@seine/envoy/envoy/config/listener/v3/listener'
import type { Filter, FilterChain } from '@seine/envoy/envoy/config/listener/v3/listener_components'
import { RBACSchema as HttpRbacSchema } from '@seine/envoy/envoy/extensions/filters/http/rbac/v3/rbac'
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from '@seine/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager'
import { RBACSchema as NetworkRbacSchema } from '@seine/envoy/envoy/extensions/filters/network/rbac/v3/rbac'
import { ConfigSchema as SetFilterStateSchema } from '@seine/envoy/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state'
import {
  type TcpProxy,
  TcpProxySchema,
} from '@seine/envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy'
import { CLUSTER_STATE, isPassedOnCluster, MeshAlpn, VIRTUAL_INBOUND, VIRTUAL_OUTBOUND } from '../names.ts'
import { causesIn } from '../provenance-metadata.ts'
import { judge, type Subject } from './authorization.ts'
import { type ProxyConfiguration, unpack } from './configuration.ts'
import { type Explanation, type Step, step } from './explanation.ts'
import { explainRouting } from './http-actions.ts'
import { type ConnectionFacts, findFilterChain, findListener } from './listeners.ts'
import type { HttpRequest, Peer, Traffic } from './request.ts'
import { explainTargets, isUnserved } from './targets.ts'

/** What a workload sends, and where it connects to: the address that DNS gave it. */
export interface OutboundQuestion {
  readonly traffic: Traffic
  readonly address: string
  readonly port: number
  /** The caller's own address, where routes may ask for it. */
  readonly source?: string
}

/** The decision of the caller's own sidecar. */
export function explainOutbound(configuration: ProxyConfiguration, question: OutboundQuestion): Explanation {
  const { traffic, address, port } = question
  const listener = findListener(configuration.listeners, VIRTUAL_OUTBOUND, address, port)
  if (!listener) return nothing(`no listener takes connections to ${address}:${port}`)
  return throughListener(configuration, listener, {
    traffic,
    peer: { identity: undefined, address: '' },
    facts: { ...factsOf(traffic, address, port), sourceAddress: question.source ?? '' },
    how: `takes connections to ${address}:${port}`,
  })
}

/** What comes to a gateway, and from where. */
export interface GatewayQuestion {
  readonly traffic: Traffic
  /** The port that the gateway's Envoy listens on. */
  readonly port: number
  /** Where it comes from. */
  readonly source: string
}

/** The decision of a gateway. */
export function explainAtGateway(configuration: ProxyConfiguration, question: GatewayQuestion): Explanation {
  const { traffic, port, source } = question
  const { listeners } = configuration
  const listener = findListener(listeners, '', '0.0.0.0', port) ?? findListener(listeners, '', '::', port)
  if (!listener) return nothing(`no Gateway has the workload listen on port ${port}`)
  return throughListener(configuration, listener, {
    traffic,
    peer: { identity: undefined, address: source },
    facts: { ...factsOf(traffic, '0.0.0.0', port), sourceAddress: source },
    how: `takes connections to port ${port}`,
  })
}

/** What arrives at a workload, and from whom. */
export interface InboundQuestion {
  readonly traffic: Traffic
  /** The workload's own address and port. */
  readonly address: string
  readonly port: number
  readonly peer: Peer
}

/** The decision of the receiver's sidecar. A peer with an identity comes by mutual TLS, one without in plaintext. */
export function explainInbound(configuration: ProxyConfiguration, question: InboundQuestion): Explanation {
  const { traffic, address, port, peer } = question
  const listener = configuration.listeners.get(VIRTUAL_INBOUND)
  if (!listener) return nothing('the workload has no listener for what arrives')
  const plain = factsOf(traffic, address, port)
  const facts: ConnectionFacts =
    peer.identity === undefined
      ? plain
      : { ...plain, transport: 'tls', applicationProtocols: [MeshAlpn[traffic.kind]], serverName: '' }
  return throughListener(configuration, listener, {
    traffic,
    peer,
    facts,
    how: `takes what arrives for port ${port}${peer.identity ? `, by mutual TLS from ${peer.identity}` : ', in plaintext'}`,
  })
}

function factsOf(traffic: Traffic, destinationAddress: string, destinationPort: number): ConnectionFacts {
  const base = { destinationAddress, destinationPort, sourceAddress: '' }
  if (traffic.kind === 'tcp') {
    const serverName = traffic.serverName ?? ''
    const transport = serverName ? 'tls' : 'raw_buffer'
    return {
      ...base,
      transport,
      serverName,
      applicationProtocols: isPassedOnCluster(serverName) ? [MeshAlpn.tcp] : [],
    }
  }
  if (traffic.scheme === 'https') {
    const serverName = traffic.authority.replace(/:\d+$/, '')
    const applicationProtocols = isPassedOnCluster(serverName) ? [MeshAlpn.http] : ['h2', 'http/1.1']
    return { ...base, transport: 'tls', serverName, applicationProtocols }
  }
  return { ...base, transport: 'raw_buffer', serverName: '', applicationProtocols: ['http/1.1'] }
}

interface Arrival {
  readonly traffic: Traffic
  readonly peer: Peer
  readonly facts: ConnectionFacts
  readonly how: string
}

function throughListener(
  configuration: ProxyConfiguration,
  listener: Listener,
  arrival: Arrival,
): Explanation {
  const causes = configuration.causesOf('listeners', listener.name)
  const { chain, passed } = findFilterChain(listener, arrival.facts)
  const steps: Step[] = [step('listener', listener.name, arrival.how)]
  if (!chain) {
    const refused = step('filter chain', listener.name, 'none is for this connection: it is closed', {
      passed,
      causes: causes.filter(({ kind }) => kind === 'PeerAuthentication'),
    })
    const plaintext = arrival.facts.transport === 'raw_buffer'
    const reason = plaintext
      ? 'plaintext is not accepted here: mutual TLS is required'
      : 'nothing takes such a connection'
    return { steps: [...steps, refused], verdict: { outcome: 'closed', reason } }
  }
  steps.push(
    step('filter chain', chain.name, chainSummary(chain), {
      passed,
      causes: causesIn(chain.metadata?.filterMetadata),
    }),
  )
  const rest = throughChain(configuration, chain, arrival)
  return { steps: [...steps, ...rest.steps], verdict: rest.verdict }
}

function chainSummary(chain: FilterChain): string {
  const http = chain.filters.some(filter => connectionManagerOf(filter) !== undefined)
  return `${chain.transportSocket ? 'ends TLS and ' : ''}${http ? 'reads HTTP requests' : 'passes bytes on'}`
}

function throughChain(
  configuration: ProxyConfiguration,
  chain: FilterChain,
  { traffic, peer, facts }: Arrival,
): Explanation {
  const steps: Step[] = []
  // Over mutual TLS of the mesh, what arrives is seen inside; else a TLS connection shows no request.
  const readable =
    traffic.kind === 'http' && (facts.transport === 'raw_buffer' || chain.transportSocket !== undefined)
  const request = readable ? (traffic as HttpRequest) : undefined
  const patches = causesIn(chain.metadata?.filterMetadata).filter(({ kind }) => kind === 'EnvoyFilter')
  for (const filter of chain.filters) {
    if (!FOLLOWED.has(filter.name) && !filter.name.startsWith(OWN))
      steps.push(unfollowed(filter.name, patches))
    const rbac = unpack(configOf(filter), NetworkRbacSchema)?.rules
    if (rbac) {
      const subject: Subject = { peer, facts, request: undefined }
      const judged = authorizationStep(filter.name, judge(rbac, subject))
      steps.push(judged.step)
      if (!judged.allowed)
        return { steps, verdict: { outcome: 'closed', reason: 'an AuthorizationPolicy refuses it' } }
    }
    const manager = connectionManagerOf(filter)
    if (manager && request) {
      const answer = throughRequestFilters(configuration, manager, { peer, facts, request }, patches)
      return { steps: [...steps, ...answer.steps], verdict: answer.verdict }
    }
    const proxy = unpack(configOf(filter), TcpProxySchema)
    if (proxy) {
      const isNamed = chain.filters.some(namesCluster)
      if (isNamed && !isPassedOnCluster(facts.serverName))
        return {
          steps,
          verdict: { outcome: 'closed', reason: 'its server name is none of a service of the mesh' },
        }
      const answer = tcpTargets(configuration, isNamed ? byServerName(proxy, facts) : proxy)
      return { steps: [...steps, ...answer.steps], verdict: answer.verdict }
    }
  }
  return { steps, verdict: { outcome: 'closed', reason: 'it is no HTTP, and the chain reads only HTTP' } }
}

/** Whether a filter has the server name say the cluster. */
function namesCluster(filter: Filter): boolean {
  const states = unpack(configOf(filter), SetFilterStateSchema)?.onNewConnection ?? []
  return states.some(({ key }) => key.case === 'objectKey' && key.value === CLUSTER_STATE)
}

/** The TCP proxy of a connection whose server name is that of its cluster. */
function byServerName(proxy: TcpProxy, { serverName }: ConnectionFacts): TcpProxy {
  return { ...proxy, clusterSpecifier: { case: 'cluster', value: serverName } }
}

function throughRequestFilters(
  configuration: ProxyConfiguration,
  manager: HttpConnectionManager,
  subject: Subject & { readonly request: HttpRequest },
  patches: readonly Provenance[],
): Explanation {
  const steps: Step[] = []
  for (const { name, configType } of manager.httpFilters) {
    const config = configType.case === 'typedConfig' ? configType.value : undefined
    const rbac = unpack(config, HttpRbacSchema)?.rules
    if (!rbac && !FOLLOWED.has(name)) steps.push(unfollowed(name, patches))
    if (!rbac) continue
    const judged = authorizationStep(name, judge(rbac, subject))
    steps.push(judged.step)
    if (!judged.allowed)
      return {
        steps,
        verdict: { outcome: 'answered', status: 403, reason: 'an AuthorizationPolicy refuses it' },
      }
  }
  const specifier = manager.routeSpecifier
  const table =
    specifier.case === 'rds'
      ? configuration.routes.get(specifier.value.routeConfigName)
      : specifier.case === 'routeConfig'
        ? specifier.value
        : undefined
  if (!table)
    return { steps, verdict: { outcome: 'answered', status: 404, reason: 'the route table is not there' } }
  const routed = explainRouting(configuration, table, subject.request)
  return { steps: [...steps, ...routed.steps], verdict: routed.verdict }
}

/** What telemetry calls filters of its own, which only note something. */
const OWN = 'seine.'

/** Filters that are generated, and that routes or authorization explain. */
const FOLLOWED: ReadonlySet<string> = new Set([
  'envoy.filters.http.router',
  'envoy.filters.http.fault',
  'envoy.filters.http.cors',
  'envoy.filters.http.on_demand',
  'envoy.filters.http.set_filter_state',
  'envoy.filters.http.dynamic_forward_proxy',
  'envoy.filters.network.set_filter_state',
  'envoy.filters.network.sni_dynamic_forward_proxy',
  'envoy.filters.network.rbac',
  'envoy.filters.network.http_connection_manager',
  'envoy.filters.network.tcp_proxy',
])

/** What somebody put there may do anything. */
function unfollowed(name: string, causes: readonly Provenance[]): Step {
  return step('filter', name, 'is not followed here: it may change what passes, or answer it', { causes })
}

const RULE_NAME = /^ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]$/

function authorizationStep(
  filter: string,
  { allowed, rule }: { allowed: boolean; rule: string | undefined },
): { step: Step; allowed: boolean } {
  const [, namespace = '', name, index] = rule === undefined ? [] : (RULE_NAME.exec(rule) ?? [])
  const causes: Provenance[] = name
    ? [{ kind: 'AuthorizationPolicy', namespace, name, path: `spec.rules[${index}]` }]
    : []
  const summary = allowed
    ? rule === undefined
      ? 'no DENY rule matches'
      : `allowed by ${namespace}/${name}`
    : rule === undefined
      ? 'refused: there are ALLOW policies for the workload, and none of their rules matches'
      : `refused by ${namespace}/${name}`
  return { allowed, step: step('authorization', filter, summary, { causes }) }
}

function tcpTargets(
  configuration: ProxyConfiguration,
  { clusterSpecifier: specifier }: TcpProxy,
): Explanation {
  const weighted = specifier.case === 'weightedClusters' ? specifier.value.clusters : []
  const total = weighted.reduce((sum, { weight }) => sum + weight, 0)
  const shares =
    specifier.case === 'cluster'
      ? [{ cluster: specifier.value, share: 1 }]
      : weighted.map(({ name, weight }) => ({ cluster: name, share: weight / total }))
  const { targets, steps } = explainTargets(configuration, shares)
  if (shares.length === 1 && shares[0]?.cluster === 'BlackHoleCluster')
    return {
      steps,
      verdict: { outcome: 'closed', reason: 'the destination is not known, and REGISTRY_ONLY is set' },
    }
  if (targets.every(target => isUnserved(configuration, target)))
    return { steps, verdict: { outcome: 'closed', reason: 'no endpoint is there to serve it' } }
  return { steps, verdict: { outcome: 'forwarded', targets } }
}

function configOf({ configType }: Filter) {
  return configType.case === 'typedConfig' ? configType.value : undefined
}

function connectionManagerOf(filter: Filter): HttpConnectionManager | undefined {
  return unpack(configOf(filter), HttpConnectionManagerSchema)
}

function nothing(reason: string): Explanation {
  return { steps: [], verdict: { outcome: 'closed', reason } }
}
