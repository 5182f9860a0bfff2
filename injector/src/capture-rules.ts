/** What of a pod's traffic goes through its sidecar. */
export interface CaptureOptions {
  /** The user that Envoy and the agent run as: their own traffic is left alone. */
  readonly proxyUid: number
  readonly excludeInboundPorts: readonly number[]
  readonly excludeOutboundPorts: readonly number[]
  /** Outbound destinations that are captured; `*` for all. */
  readonly includeOutboundIpRanges: readonly string[]
  readonly excludeOutboundIpRanges: readonly string[]
  /** Whether look-ups of names go to the agent. */
  readonly captureDns: boolean
}

const PORT = { outbound: 15001, inbound: 15006, dns: 15053 } as const
/** The sidecar's own ports: scrapes and probes reach them directly. */
const OWN_PORTS = [15020, 15021, 15090, 15000]

/**
 * The pod's nat table as input for `iptables-restore`: inbound TCP goes to 15006, outbound TCP to 15001 and
 * look-ups to 15053, except what the sidecar itself sends. Chains are called as Istio calls them.
 */
export function captureRules(options: CaptureOptions): string {
  const { proxyUid: uid } = options
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
    '-A PREROUTING -p tcp -j ISTIO_INBOUND',
    ...(options.captureDns
      ? [`-A OUTPUT -p udp --dport 53 -m owner ! --uid-owner ${uid} -j REDIRECT --to-ports ${PORT.dns}`]
      : []),
    '-A OUTPUT -p tcp -j ISTIO_OUTPUT',
    ...[...OWN_PORTS, ...options.excludeInboundPorts].map(
      port => `-A ISTIO_INBOUND -p tcp --dport ${port} -j RETURN`,
    ),
    '-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT',
    `-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports ${PORT.inbound}`,
    `-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports ${PORT.outbound}`,
    // What Envoy hands to the application comes from 127.0.0.6 and must not come back.
    '-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN',
    // A workload that calls itself through its service is a server like any other.
    `-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m owner --uid-owner ${uid} -m multiport ! --dports ${[...OWN_PORTS, 53].join(',')} -j ISTIO_IN_REDIRECT`,
    `-A ISTIO_OUTPUT -m owner --uid-owner ${uid} -j RETURN`,
    ...(options.captureDns ? [`-A ISTIO_OUTPUT -p tcp --dport 53 -j REDIRECT --to-ports ${PORT.dns}`] : []),
    '-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN',
    ...options.excludeOutboundPorts.map(port => `-A ISTIO_OUTPUT -p tcp --dport ${port} -j RETURN`),
    ...options.excludeOutboundIpRanges.map(range => `-A ISTIO_OUTPUT -d ${range} -j RETURN`),
    ...(options.includeOutboundIpRanges.includes('*')
      ? ['-A ISTIO_OUTPUT -j ISTIO_REDIRECT']
      : options.includeOutboundIpRanges.map(range => `-A ISTIO_OUTPUT -d ${range} -j ISTIO_REDIRECT`)),
    'COMMIT',
  ]
  return `${rules.join('\n')}\n`
}
