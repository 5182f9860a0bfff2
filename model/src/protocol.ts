/** What a service port speaks, as far as it was declared. `auto` is detected from the first bytes. */
export type Protocol = 'http' | 'http2' | 'grpc' | 'grpc-web' | 'https' | 'tls' | 'tcp' | 'auto'

const BY_WORD: Readonly<Record<string, Protocol>> = {
  http: 'http',
  http2: 'http2',
  h2c: 'http2',
  grpc: 'grpc',
  'grpc-web': 'grpc-web',
  https: 'https',
  tls: 'tls',
  tcp: 'tcp',
  mongo: 'tcp',
  mysql: 'tcp',
  redis: 'tcp',
}

/** Words that Kubernetes keeps for an `appProtocol`. */
const OF_KUBERNETES: Readonly<Record<string, Protocol>> = {
  'kubernetes.io/h2c': 'http2',
  'kubernetes.io/ws': 'http',
  'kubernetes.io/wss': 'https',
}

/** Ports of SMTP, DNS, MySQL and MongoDB, where nothing can be detected: most of their servers speak first. */
const UNDETECTABLE = new Set([25, 53, 3306, 27017])

/**
 * A port's protocol from its `appProtocol`, or else from its name, as Istio selects it: the word, or what stands before
 * its first hyphen (`http-web`). An `appProtocol` with another word leaves it to be detected, whatever the name says.
 */
export function portProtocol(
  name: string | undefined,
  appProtocol: string | undefined,
  port: number,
): Protocol {
  const word = (appProtocol || name || '').toLowerCase()
  const ofKubernetes = appProtocol && OF_KUBERNETES[word]
  if (ofKubernetes) return ofKubernetes
  const declared = BY_WORD[word.startsWith('grpc-web') ? 'grpc-web' : (word.split('-')[0] ?? '')]
  return declared ?? (UNDETECTABLE.has(port) ? 'tcp' : 'auto')
}

/** Whether requests are routed one by one. */
export function isHttp(protocol: Protocol): boolean {
  return protocol === 'http' || protocol === 'auto' || isHttp2(protocol)
}

/** Whether the server takes HTTP/2 and nothing else. */
export function isHttp2(protocol: Protocol): boolean {
  return protocol === 'http2' || protocol === 'grpc' || protocol === 'grpc-web'
}
