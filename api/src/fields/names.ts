import { z } from 'zod'

const LABEL = /^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/
/** The first label of a host may be a wildcard, or begin with one as Istio allows it: `*-api.example.com`. */
const WILDCARD_LABEL = /^(\*|(\*|\*-)?[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)$/

/** Whether a text is a DNS label: letters, digits and "-", at most 63 characters. */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && LABEL.test(text)
}

/** What is wrong with a host name without wildcards; undefined when nothing is. */
export function hostProblem(host: string): string | undefined {
  return lengthProblem(host) ?? labelsProblem(host.split('.'))
}

/** The same for a host name whose first label may be `*`, or begin with it. */
export function wildcardHostProblem(host: string): string | undefined {
  const [first = '', ...rest] = host.split('.')
  const length = lengthProblem(host)
  if (length) return length
  if (first.length > 63 || !WILDCARD_LABEL.test(first))
    return `"${first}" is no part of a host name, and a wildcard is "*" at its start`
  return rest.length > 0 ? labelsProblem(rest) : undefined
}

function lengthProblem(host: string): string | undefined {
  if (host === '') return 'a host name is needed'
  return host.length > 255 ? 'a host name has at most 255 characters' : undefined
}

function labelsProblem(labels: readonly string[]): string | undefined {
  const last = labels.at(-1) ?? ''
  if (/^\d+$/.test(last)) return `a host name can't end in the number ${last}`
  // `example.com.`, with the dot that makes a name complete.
  const named = last === '' && labels.length > 1 ? labels.slice(0, -1) : labels
  const wrong = named.find(label => !isDnsLabel(label))
  return wrong === undefined ? undefined : `"${wrong}" is no part of a host name: letters, digits and "-"`
}

/** A DNS label. */
export const dnsLabelField = z
  .string()
  .refine(isDnsLabel, 'must be a name of letters, digits and "-", at most 63 characters')

/** The protocols that Istio's ports name, in any case. */
const PROTOCOLS = /^(tcp|udp|grpc|grpc-web|http|http_proxy|http2|https|tls|mongo|redis|mysql)$/i

/** Whether a port's protocol is one that Istio knows. */
export function isProtocol(text: string): boolean {
  return PROTOCOLS.test(text)
}

/** A port's protocol. */
export const protocolField = z
  .string()
  .refine(
    text => text === '' || isProtocol(text),
    'must be HTTP, HTTP2, HTTPS, GRPC, GRPC-WEB, TLS, TCP, UDP, MONGO, MYSQL or REDIS',
  )

/** Whether requests are routed one by one on a port of this protocol. */
export function isHttpProtocol(text: string | undefined): boolean {
  return /^(http|http2|http_proxy|grpc|grpc-web)$/i.test(text ?? '')
}

/** Whether a port of this protocol begins with a TLS handshake. */
export function isTlsProtocol(text: string | undefined): boolean {
  return /^(https|tls)$/i.test(text ?? '')
}

/** What begins the path of a Unix domain socket where an address may stand. */
export const UNIX_PREFIX = 'unix://'

/** What Linux takes, without the byte that ends it. */
const MAX_SOCKET_BYTES = 107

/** What is wrong with the path of a Unix domain socket (without its prefix); undefined when nothing is. */
export function unixPathProblem(path: string): string | undefined {
  if (new TextEncoder().encode(path).length > MAX_SOCKET_BYTES)
    return `the path of a Unix domain socket has at most ${MAX_SOCKET_BYTES} bytes`
  if (path.startsWith('@') && path.length > 1) return undefined
  return path.startsWith('/') && !path.endsWith('/')
    ? undefined
    : 'a Unix domain socket is given by its absolute path, or by "@" and an abstract name'
}
