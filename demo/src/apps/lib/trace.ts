import type { IncomingHttpHeaders } from 'node:http'

/**
 * The headers a service copies from the request it serves to the requests it makes, so that the
 * sidecars' spans join into one trace. This is all a program has to know of the mesh.
 */
export const FORWARDED_HEADERS = [
  'x-request-id',
  'traceparent',
  'tracestate',
  'baggage',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'end-user',
  'user-agent',
] as const

/** Picks the headers to forward out of an incoming request's. */
export function forwardedHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const forwarded: Record<string, string> = {}
  for (const name of FORWARDED_HEADERS) {
    const value = headers[name]
    if (typeof value === 'string') forwarded[name] = value
  }
  return forwarded
}
