/** What a service port speaks, as far as it was declared. `auto` is detected from the first bytes. */
export type Protocol = 'http' | 'http2' | 'grpc' | 'https' | 'tls' | 'tcp' | 'auto'

const BY_WORD: Readonly<Record<string, Protocol>> = {
  http: 'http',
  http2: 'http2',
  h2c: 'http2',
  'kubernetes.io/h2c': 'http2',
  'kubernetes.io/ws': 'http',
  'kubernetes.io/wss': 'tls',
  grpc: 'grpc',
  'grpc-web': 'http',
  https: 'https',
  tls: 'tls',
  tcp: 'tcp',
  mongo: 'tcp',
  mysql: 'tcp',
  redis: 'tcp',
}

/** Ports where the server speaks first, so that nothing can be detected. */
const SERVER_FIRST = new Set([25, 3306, 27017])

/** A port's protocol from its `appProtocol`, else from the prefix of its name (`http-web`), as Istio selects it. */
export function portProtocol(
  name: string | undefined,
  appProtocol: string | undefined,
  port: number,
): Protocol {
  const declared = appProtocol ? BY_WORD[appProtocol.toLowerCase()] : undefined
  if (declared) return declared
  const word = (name ?? '').toLowerCase()
  if (word.startsWith('grpc-web')) return 'http'
  const prefix = BY_WORD[word.split('-')[0] ?? '']
  if (prefix) return prefix
  return SERVER_FIRST.has(port) ? 'tcp' : 'auto'
}

/** Whether requests are routed one by one. */
export function isHttp(protocol: Protocol): boolean {
  return protocol === 'http' || protocol === 'http2' || protocol === 'grpc' || protocol === 'auto'
}
