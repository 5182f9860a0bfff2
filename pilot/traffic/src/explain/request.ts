/** One request as the sidecar of its caller, or of its receiver, sees it. Header names are in lower case. */
export interface HttpRequest {
  readonly kind: 'http'
  readonly method: string
  readonly scheme: 'http' | 'https'
  /** The `Host` header, or `:authority`, as the client sends it. */
  readonly authority: string
  /** With its query, as on the wire. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** One connection of which nothing but its bytes is known. */
export interface TcpConnection {
  readonly kind: 'tcp'
  /** The server name, where the client speaks TLS. */
  readonly serverName?: string
}

export type Traffic = HttpRequest | TcpConnection

/** Who the peer of an inbound connection is, as mutual TLS proves it. */
export interface Peer {
  /** `spiffe://cluster.local/ns/default/sa/web`; absent for plaintext. */
  readonly identity: string | undefined
  readonly address: string
}

/** The values of a request's pseudo headers and headers by name, as Envoy's matchers ask for them. */
export function headerOf(request: HttpRequest, name: string): string | undefined {
  switch (name.toLowerCase()) {
    case ':method':
      return request.method
    case ':authority':
    case 'host':
      return request.authority
    case ':path':
      return request.path
    case ':scheme':
      return request.scheme
    default:
      return request.headers[name.toLowerCase()]
  }
}

/**
 * The path as Envoy matches it after `normalize_path` (RFC 3986: dot segments removed, percent-encoding of
 * unreserved characters undone), without its query.
 */
export function normalizedPath(request: HttpRequest): string {
  const [path = '/'] = request.path.split(/[?#]/, 1)
  const decoded = path.replace(/%([0-9a-f]{2})/gi, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escape.toUpperCase()
  })
  const kept: string[] = []
  const segments = decoded.split('/').slice(1)
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1
    if (segment === '..') kept.pop()
    if (segment !== '.' && segment !== '..') kept.push(segment)
    else if (isLast) kept.push('')
  }
  return `/${kept.join('/')}`
}

/** The query's parameters; of a name that stands twice, the first, as Envoy takes it. */
export function queryOf(request: HttpRequest): ReadonlyMap<string, string> {
  const start = request.path.indexOf('?')
  const found = new Map<string, string>()
  if (start < 0) return found
  for (const pair of (request.path.slice(start + 1).split('#')[0] ?? '').split('&')) {
    const [name = '', value = ''] = pair.split(/=(.*)/s)
    if (name !== '' && !found.has(name)) found.set(name, value)
  }
  return found
}
