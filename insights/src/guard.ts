import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance } from 'fastify'

/** Names under which a browser reaches this machine itself. */
const LOOPBACK: readonly string[] = ['localhost', '127.0.0.1', '::1']

const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** What of a request tells where it comes from. */
export interface Asked {
  readonly method: string
  /** With a leading slash. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

/**
 * Keeps pages of other sites from using the API through the browser of someone who can reach it: by a name of their
 * own that they point at this address (DNS rebinding), or by a request of their own from another origin.
 */
export function guard(app: FastifyInstance, host: string): void {
  app.addHook('onRequest', async ({ method, url, headers }, reply) => {
    const reason = refusal({ method, path: url, headers }, [...LOOPBACK, host])
    return reason === undefined ? undefined : reply.code(403).send({ error: reason })
  })
  app.addHook('onSend', async (request, reply) => {
    reply.headers(HEADERS)
    if (request.url.startsWith('/api/')) reply.header('cache-control', 'no-store')
  })
}

/** Why a request is not answered, or undefined when it is. `hosts` are the names that are served. */
export function refusal({ method, path, headers }: Asked, hosts: readonly string[]): string | undefined {
  const host = /[@/?#\\]/.test(headers.host ?? '') ? undefined : urlOf(`http://${headers.host ?? ''}`)
  if (!host || !hosts.includes(nameOf(host))) return `the host "${headers.host ?? ''}" is not served here`
  if (!path.startsWith('/api/')) return undefined
  const reads = method === 'GET' || method === 'HEAD'
  const { origin } = headers
  if (origin !== undefined) {
    const from = urlOf(origin)
    const isKnown = from && hosts.includes(nameOf(from)) && (reads || from.host === host.host)
    if (!isKnown) return `pages of ${origin} may not ${reads ? 'read' : 'change'} anything here`
  }
  const site = headers['sec-fetch-site']
  const sites = reads ? ['same-origin', 'same-site', 'none'] : ['same-origin', 'none']
  if (typeof site === 'string' && !sites.includes(site)) return 'pages of other sites may not use this API'
  return undefined
}

function urlOf(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined
}

function nameOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '')
}
