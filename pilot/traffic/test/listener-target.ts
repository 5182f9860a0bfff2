import type { ListenerTarget } from '../src/listeners/targets.ts'

/** A port of a service that sidecars serve, whose connections go to its own cluster as they are. */
export function listenerTarget(
  name: string,
  port: number,
  address: string,
  more: Partial<ListenerTarget> = {},
): ListenerTarget {
  const own = `outbound|${port}||${name}`
  return {
    service: { hostname: name, name, namespace: 'a' },
    port,
    detected: false,
    meshed: true,
    place: { addresses: undefined, bound: false },
    addresses: [address],
    ranges: [],
    serverName: undefined,
    routing: {
      statPrefix: own,
      clusters: [{ name: own, weight: 1 }],
      idleTimeout: undefined,
      maxConnectionDuration: undefined,
      hashesSource: false,
      tunnel: undefined,
      provenance: [],
    },
    matched: [],
    ...more,
  }
}
