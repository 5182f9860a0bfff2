/** RFC 9110's `token`, which header names are. */
export const HEADER_NAME = /^[!#$%&'*+\-.^_`|~A-Za-z0-9]+$/

/** Routes by a claim of the request's JWT: `@request.auth.claims.group` or `@request.auth.claims[group][sub]`. */
export function isClaimRoute(name: string): boolean {
  return /^@request\.auth\.claims(\..+|\[.+\])$/i.test(name)
}

/** Whether a header stands for the request's host. */
export function isAuthorityHeader(name: string): boolean {
  return /^(:authority|host)$/i.test(name)
}
