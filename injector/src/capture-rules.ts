/** What of a pod's traffic goes through its sidecar. */
export interface CaptureOptions {
  /** The user that Envoy and the agent run as: their own traffic is left alone. */
  readonly proxyUid: number
  /** Ports of the pod whose callers come by the sidecar; `*` for all but the excluded. */
  readonly includeInboundPorts: readonly number[] | '*'
  readonly excludeInboundPorts: readonly number[]
  /** Ports of others that are captured at whatever address. */
  readonly includeOutboundPorts: readonly number[]
  readonly excludeOutboundPorts: readonly number[]
  /** Outbound destinations that are captured, of both families; `*` for all. */
  readonly includeOutboundIpRanges: readonly string[] | '*'
  readonly excludeOutboundIpRanges: readonly string[]
  /** Network interfaces on which nothing is captured. */
  readonly excludeInterfaces: readonly string[]
  /** Whether look-ups of names go to the agent. */
  readonly captureDns: boolean
}

const PORT = { outbound: 15001, inbound: 15006, dns: 15053 } as const
/** The sidecar's own ports: scrapes and probes reach them directly. */
const OWN_PORTS = [15020, 15021, 15090, 15000]

/** What differs between the families of addresses. */
const ADDRESSES = {
  /** Where the sidecar hands connections to the application from, and the loopback address. */
  ipv4: { ownSource: '127.0.0.6/32', loopback: '127.0.0.1/32' },
  ipv6: { ownSource: '::6/128', loopback: '::1/128' },
} as const

/**
 * The pod's nat table as input for `iptables-restore`, or for `ip6tables-restore`: inbound TCP goes to 15006, outbound
 * TCP to 15001 and look-ups to 15053, except what the sidecar itself sends. Chains are called as Istio calls them.
 */
export function captureRules(options: CaptureOptions, family: 'ipv4' | 'ipv6' = 'ipv4'): string {
  const { proxyUid: uid, captureDns, excludeInterfaces } = options
  const { ownSource, loopback } = ADDRESSES[family]
  const rules = [
    '*nat',
    ':PREROUTING ACCEPT [0:0]',
    ':INPUT ACCEPT [0:0]',
    ':OUTPUT ACCEPT [0:0]',
    ':POSTROUTING ACCEPT [0:0]',
    ':ISTIO_INBOUND - [0:0]',
    ':ISTIO_IN_REDIRECT - [0:0]',
    ':ISTIO_OUTPUT - [0:0]',
    ':ISTIO_REDIRECT - [0:0]',
    ...excludeInterfaces.flatMap(name => [
      `-A PREROUTING -i ${name} -j RETURN`,
      `-A OUTPUT -o ${name} -j RETURN`,
    ]),
    '-A PREROUTING -p tcp -j ISTIO_INBOUND',
    ...(captureDns
      ? [`-A OUTPUT -p udp --dport 53 -m owner ! --uid-owner ${uid} -j REDIRECT --to-ports ${PORT.dns}`]
      : []),
    '-A OUTPUT -p tcp -j ISTIO_OUTPUT',
    ...inbound(options),
    `-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports ${PORT.inbound}`,
    `-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports ${PORT.outbound}`,
    // What Envoy hands to the application comes from there and must not come back.
    `-A ISTIO_OUTPUT -s ${ownSource} -o lo -j RETURN`,
    // A workload that calls itself through its service is a server like any other.
    `-A ISTIO_OUTPUT ! -d ${loopback} -o lo -p tcp -m owner --uid-owner ${uid} -m multiport ! --dports ${[...OWN_PORTS, 53].join(',')} -j ISTIO_IN_REDIRECT`,
    `-A ISTIO_OUTPUT -m owner --uid-owner ${uid} -j RETURN`,
    ...(captureDns ? [`-A ISTIO_OUTPUT -p tcp --dport 53 -j REDIRECT --to-ports ${PORT.dns}`] : []),
    `-A ISTIO_OUTPUT -d ${loopback} -j RETURN`,
    ...outbound(options, family),
    'COMMIT',
  ]
  return `${rules.join('\n')}\n`
}

function inbound({ includeInboundPorts, excludeInboundPorts }: CaptureOptions): string[] {
  const rule = (port: number, target: string) => `-A ISTIO_INBOUND -p tcp --dport ${port} -j ${target}`
  const left = [...OWN_PORTS, ...excludeInboundPorts].map(port => rule(port, 'RETURN'))
  return includeInboundPorts === '*'
    ? [...left, '-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT']
    : [...left, ...includeInboundPorts.map(port => rule(port, 'ISTIO_IN_REDIRECT'))]
}

/** Exclusions come first: what is both excluded and included is left alone. */
function outbound(options: CaptureOptions, family: 'ipv4' | 'ipv6'): string[] {
  const ofFamily = (ranges: readonly string[]) =>
    ranges.filter(range => range.includes(':') === (family === 'ipv6'))
  const { includeOutboundIpRanges: ranges } = options
  const toPort = (port: number, target: string) => `-A ISTIO_OUTPUT -p tcp --dport ${port} -j ${target}`
  const toRange = (range: string, target: string) => `-A ISTIO_OUTPUT -d ${range} -j ${target}`
  return [
    ...options.excludeOutboundPorts.map(port => toPort(port, 'RETURN')),
    ...ofFamily(options.excludeOutboundIpRanges).map(range => toRange(range, 'RETURN')),
    ...options.includeOutboundPorts.map(port => toPort(port, 'ISTIO_REDIRECT')),
    ...(ranges === '*'
      ? ['-A ISTIO_OUTPUT -j ISTIO_REDIRECT']
      : ofFamily(ranges).map(range => toRange(range, 'ISTIO_REDIRECT'))),
  ]
}
