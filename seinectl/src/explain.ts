import { err, ok, type Problem, type Result } from '@seine/kit'
import { mixerPlugins } from '@seine/mixer-plugins'
import { hostAliases, type MeshService, type MeshSnapshot, selects, visibleIn } from '@seine/model'
import {
  type AddressFamilies,
  familiesOf,
  type Proxy,
  reachableEndpoints,
  reachableService,
  renderProxy,
  serverNameOf,
  targetPorts,
} from '@seine/pilot-traffic'
import {
  type Explanation,
  explainAtGateway,
  explainInbound,
  explainOutbound,
  type ProxyConfiguration,
  readConfiguration,
  type Traffic,
} from '@seine/pilot-traffic/explain'
import type { MeshView } from './mesh-view.ts'
import { proxyOf } from './proxies.ts'
import type { World } from './world.ts'

/** A request that someone asks about. */
export interface Question {
  /** `WORKLOAD[.NAMESPACE]`, or a pod's name. */
  readonly from: string
  readonly method: string
  /** `http://reviews:9080/path`, `https://…`, or `tcp://host:port`. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Also what the receiving sidecars decide. */
  readonly inbound: boolean
}

/** An address of nobody, for whoever comes to a gateway from outside. */
const OUTSIDE = '192.0.2.1'

/** What one workload's proxy decides. */
export interface Part {
  /** `gateway`: what comes to it from outside; `between`: what comes to the gateway of a network from another one. */
  readonly direction: 'outbound' | 'inbound' | 'gateway' | 'between'
  readonly workload: string
  readonly explanation: Explanation
}

/** All decisions about a request. */
export interface Answer {
  readonly request: {
    readonly method: string
    readonly url: string
    readonly address: string
    readonly port: number
  }
  readonly parts: readonly Part[]
  readonly problems: readonly Problem[]
}

/** Answers from what is known of a mesh: it is translated as for the sidecars, and the result is followed. */
export function explain({ view, problems }: World, question: Question): Result<Answer, string> {
  const target = parseUrl(question)
  if (!target.ok) return target
  const caller = callerOf(question.from, view.snapshot)
  if (!caller.ok) return caller
  const snapshot = view.snapshotFor(caller.value)
  const { traffic, host, port } = target.value
  const isGateway = caller.value.type === 'router'
  const address = isGateway ? (caller.value.addresses[0] ?? '') : lookUp(host, caller.value, snapshot)
  const rendered = renderProxy(snapshot, caller.value, mixerPlugins)
  const configuration = readConfiguration(rendered)
  const outbound = isGateway
    ? explainAtGateway(configuration, {
        traffic,
        port: targetPorts(snapshot, caller.value).get(port)?.[0] ?? port,
        source: OUTSIDE,
      })
    : explainOutbound(configuration, { traffic, address, port, source: caller.value.addresses[0] ?? '' })
  const direction = isGateway ? 'gateway' : 'outbound'
  const parts: Part[] = [{ direction, workload: nameOf(caller.value), explanation: outbound }]
  if (question.inbound) parts.push(...inboundParts(view, caller.value, traffic, outbound))
  return ok({
    request: { method: question.method, url: question.url, address, port },
    parts,
    problems: [...problems, ...rendered.problems],
  })
}

interface ParsedTarget {
  readonly traffic: Traffic
  readonly host: string
  readonly port: number
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 }

function parseUrl({ method, url, headers }: Question): Result<ParsedTarget, string> {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const port = parsed && (parsed.port ? Number(parsed.port) : DEFAULT_PORTS[parsed.protocol])
  if (!parsed?.hostname)
    return err(`"${url}" is no URL: write http://reviews:9080/path, https://example.com, or tcp://host:port`)
  if (port === undefined) return err(`"${url}" names no port`)
  const host = parsed.hostname.replace(/^\[|\]$/g, '')
  if (parsed.protocol === 'tcp:') return ok({ traffic: { kind: 'tcp' }, host, port })
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')
    return err(`"${parsed.protocol.slice(0, -1)}" is not http, https or tcp`)
  const { host: written, ...rest } = headers
  const traffic: Traffic = {
    kind: 'http',
    method: method.toUpperCase(),
    scheme: parsed.protocol === 'https:' ? 'https' : 'http',
    authority: written ?? parsed.host,
    path: rawPath(url),
    headers: rest,
  }
  return ok({ traffic, host, port })
}

/** The path as it was written: a URL parser would already have normalised it. */
function rawPath(url: string): string {
  const path = /^[a-z]+:\/\/[^/?#]*([^#]*)/i.exec(url)?.[1] ?? ''
  return path.startsWith('/') ? path : `/${path}`
}

function callerOf(from: string, snapshot: MeshSnapshot): Result<Proxy, string> {
  const candidates = [...snapshot.workloads.values()].filter(workload =>
    [workload.name, workload.workloadName].some(
      name => from === name || from === `${name}.${workload.namespace}`,
    ),
  )
  const [workload] = candidates
  if (workload) {
    const others = new Set(candidates.map(({ namespace }) => namespace))
    if (others.size > 1)
      return err(`"${from}" is in ${[...others].sort().join(' and ')}: write ${from}.${workload.namespace}`)
    return ok(proxyOf(workload))
  }
  const known = [
    ...new Set([...snapshot.workloads.values()].map(one => `${one.workloadName}.${one.namespace}`)),
  ]
  return err(
    `there is no workload "${from}"${known.length > 0 ? `; there are ${known.sort().slice(0, 12).join(', ')}` : ' in the files: no Pod, WorkloadEntry or Deployment of that name'}`,
  )
}

function configurationOf(snapshot: MeshSnapshot, proxy: Proxy): ProxyConfiguration {
  return readConfiguration(renderProxy(snapshot, proxy, mixerPlugins))
}

/** The address that the sidecar's DNS gives for a name; a name of the outside world keeps its name. */
function lookUp(host: string, caller: Proxy, snapshot: MeshSnapshot): string {
  const service = [...snapshot.services.values()].find(
    one =>
      visibleIn(one.exportTo, one.namespace, caller.namespace) &&
      hostAliases(one.hostname, one.namespace, caller.namespace).includes(host),
  )
  return service ? addressOf(service, snapshot, familiesOf(caller.addresses)) : host
}

function addressOf(service: MeshService, snapshot: MeshSnapshot, families: AddressFamilies): string {
  const own = reachableService(service, families).addresses.find(address => !address.includes('/'))
  if (own) return own
  const endpoints = snapshot.endpoints.get(service.hostname)
  const reachable = endpoints ? [...reachableEndpoints(endpoints, families).byPort.values()].flat() : []
  return reachable[0]?.address ?? service.hostname
}

/** What those decide to whom a request goes: sidecars, and gateways of networks with the sidecars behind them. */
function inboundParts(view: MeshView, caller: Proxy, traffic: Traffic, { verdict }: Explanation): Part[] {
  if (verdict.outcome !== 'forwarded') return []
  const parts = new Map<string, Part>()
  for (const { cluster, endpoints } of verdict.targets)
    for (const { address, port, gateway } of endpoints) {
      const found = gateway
        ? partsBehindGateway(view, caller, traffic, { cluster, address, port })
        : inboundPart(view, caller, traffic, address, port)
      for (const part of found) if (!parts.has(part.workload)) parts.set(part.workload, part)
    }
  return [...parts.values()]
}

function inboundPart(view: MeshView, caller: Proxy, traffic: Traffic, address: string, port: number): Part[] {
  const { snapshot } = view
  const workload = [...snapshot.workloads.values()].find(({ addresses }) => addresses.includes(address))
  if (!workload?.meshed) return []
  const proxy = proxyOf(workload)
  const identity = `spiffe://${snapshot.config.trustDomain}/ns/${caller.namespace}/sa/${caller.serviceAccount}`
  const explanation = explainInbound(configurationOf(view.snapshotFor(proxy), proxy), {
    traffic,
    address,
    port,
    peer: { identity, address: caller.addresses[0] ?? '' },
  })
  return [{ direction: 'inbound', workload: nameOf(proxy), explanation }]
}

/** Where the workload of a gateway is known, what it does with a connection of a cluster, and who gets that. */
function partsBehindGateway(
  view: MeshView,
  caller: Proxy,
  traffic: Traffic,
  { cluster, address, port }: { readonly cluster: string; readonly address: string; readonly port: number },
): Part[] {
  const { snapshot } = view
  const service = [...snapshot.services.values()].find(
    ({ edge, ports }) =>
      edge?.addresses.some(one => one.address === address) && ports.some(({ number }) => number === port),
  )
  const workload =
    service?.selector &&
    [...snapshot.workloads.values()].find(
      ({ gateway, namespace, labels }) =>
        gateway && namespace === service.namespace && selects(service.selector, labels),
    )
  if (!workload) return []
  const proxy = proxyOf(workload)
  const explanation = explainAtGateway(configurationOf(view.snapshotFor(proxy), proxy), {
    traffic: { kind: 'tcp', serverName: serverNameOf(cluster) },
    port: targetPorts(snapshot, proxy).get(port)?.[0] ?? port,
    source: caller.addresses[0] ?? OUTSIDE,
  })
  const own: Part = { direction: 'between', workload: nameOf(proxy), explanation }
  if (explanation.verdict.outcome !== 'forwarded') return [own]
  const behind = explanation.verdict.targets.flatMap(({ endpoints }) => endpoints)
  return [own, ...behind.flatMap(one => inboundPart(view, caller, traffic, one.address, one.port))]
}

function nameOf({ workloadName, namespace }: Proxy): string {
  return `${workloadName}.${namespace}`
}
