import { isAuthorityHeader, isClaimRoute } from '../fields/headers.ts'
import { hostProblem, isDnsLabel, wildcardHostProblem } from '../fields/names.ts'
import { isIpAddress } from '../ip.ts'
import { checkExportTo, type FieldPath, type Findings, type Rules } from '../rules.ts'
import type { HttpDirectResponse, HttpRoute, VirtualServiceSpec } from './virtual-service.ts'

/** The gateway that stands for all sidecars. */
const MESH = 'mesh'
/** Istio's names of clusters as SNI, which its east-west gateways route by. */
const CLUSTER_SNI = /^outbound_\.\d+_\.[^_]*_\..+$/
const LARGE_BODY = 100 << 10

/** What Istio's validation requires of a VirtualService, beyond its fields. */
export const virtualServiceRules: Rules<VirtualServiceSpec> = (spec, findings, { namespace }) => {
  const isDelegate = !spec.hosts?.length
  const isForGatewaysOnly = !!spec.gateways?.length && !spec.gateways.includes(MESH)
  if (isDelegate) checkDelegate(spec, findings)
  checkGateways(spec.gateways, ['gateways'], findings)
  checkHosts(spec, isForGatewaysOnly, findings)
  for (const [index, route] of (spec.http ?? []).entries())
    checkHttpRoute(route, ['http', index], { isDelegate, isForGatewaysOnly }, findings)
  for (const [index, route] of (spec.tls ?? []).entries()) {
    for (const [at, match] of route.match.entries()) {
      const path = ['tls', index, 'match', at]
      checkGateways(match.gateways, [...path, 'gateways'], findings)
      for (const [which, host] of match.sniHosts.entries())
        checkSniHost(host, spec, isForGatewaysOnly, [...path, 'sniHosts', which], findings)
    }
  }
  for (const [index, route] of (spec.tcp ?? []).entries())
    for (const [at, match] of (route.match ?? []).entries())
      checkGateways(match.gateways, ['tcp', index, 'match', at, 'gateways'], findings)
  checkExportTo(spec.exportTo, namespace, findings)
}

function checkDelegate(spec: VirtualServiceSpec, findings: Findings): void {
  const without = (field: 'gateways' | 'tls' | 'tcp', what: string) => {
    if (spec[field]?.length)
      findings.error([field], `a VirtualService without hosts is a delegate, which has no ${what}`)
  }
  without('gateways', 'gateways of its own')
  without('tls', 'tls routes')
  without('tcp', 'tcp routes')
}

function checkHosts(spec: VirtualServiceSpec, isForGatewaysOnly: boolean, findings: Findings): void {
  const hosts = spec.hosts ?? []
  const hasSni = (spec.tls ?? []).length > 0
  let allValid = true
  for (const [index, host] of hosts.entries()) {
    const isClusterSni = isForGatewaysOnly && hasSni && CLUSTER_SNI.test(host)
    const problem = isIpAddress(host) || isClusterSni ? undefined : wildcardHostProblem(host)
    const message =
      problem ?? (host === '*' && !isForGatewaysOnly ? '"*" is for gateways only: name the hosts' : undefined)
    if (message) findings.error(['hosts', index], message)
    allValid &&= message === undefined
  }
  if (!allValid) return
  for (const [index, host] of hosts.entries()) {
    const covering = hosts.slice(0, index).find(other => overlap(other, host))
    if (covering) findings.error(['hosts', index], `${host} and ${covering} are the same hosts`)
  }
}

/** Whether some host is meant by both. */
function overlap(a: string, b: string): boolean {
  if (!a.startsWith('*') && !b.startsWith('*')) return a === b
  const [short, long] = a.length < b.length ? [a, b] : [b, a]
  if (short.startsWith('*')) return long.replace(/^\*/, '').endsWith(short.slice(1))
  return short.endsWith(long.slice(1))
}

/** Names of gateways: `namespace/name`, a name of the own namespace, or Istio's older `name.namespace.svc…`. */
function checkGateways(names: readonly string[] | undefined, path: FieldPath, findings: Findings): void {
  for (const [index, gateway] of (names ?? []).entries()) {
    const [namespace = '', name, ...rest] = gateway.split('/')
    const at = [...path, index]
    if (name === undefined) {
      const problem = hostProblem(gateway)
      if (problem) findings.error(at, problem)
      else if (gateway.includes('.')) {
        const [short, of] = gateway.split('.')
        findings.warn(at, `this way of naming a gateway is no longer recommended: write ${of}/${short}`)
      }
    } else if (rest.length > 0 || !isDnsLabel(namespace) || !isDnsLabel(name))
      findings.error(at, 'must be the name of a gateway, or its namespace, "/" and its name')
  }
}

/** How many bytes a direct response's body has, near enough to judge it by. */
function bodySize({ string, bytes }: NonNullable<HttpDirectResponse['body']>): number {
  return string?.length ?? ((bytes?.length ?? 0) * 3) / 4
}

interface Setting {
  readonly isDelegate: boolean
  readonly isForGatewaysOnly: boolean
}

function checkHttpRoute(route: HttpRoute, path: FieldPath, setting: Setting, findings: Findings): void {
  if (setting.isDelegate && route.delegate)
    findings.error([...path, 'delegate'], 'a delegate does not delegate further')
  for (const [index, match] of (route.match ?? []).entries()) {
    const at = [...path, 'match', index]
    checkGateways(match.gateways, [...at, 'gateways'], findings)
    for (const field of ['headers', 'withoutHeaders'] as const)
      for (const name of Object.keys(match[field] ?? {}))
        if (isClaimRoute(name) && !setting.isForGatewaysOnly)
          findings.error([...at, field, name], 'requests are routed by JWT claims at gateways only')
    if (route.redirect?.prefixRewrite && match.uri && match.uri.prefix === undefined)
      findings.error([...at, 'uri'], 'a redirect with prefixRewrite goes with matches of a uri prefix only')
  }
  checkAuthority(route, path, findings)
  for (const field of ['mirrorPercent', 'mirror_percent'] as const)
    if (route[field] !== undefined)
      findings.warn([...path, field], 'this field is deprecated: use mirrorPercentage')
  if (route.directResponse?.body && bodySize(route.directResponse.body) > LARGE_BODY)
    findings.warn(
      [...path, 'directResponse', 'body'],
      'so large a body is sent to every proxy: keep it below 100 KiB',
    )
}

/** The host of a request is rewritten in one place. */
function checkAuthority({ rewrite, headers }: HttpRoute, path: FieldPath, findings: Findings): void {
  let isSet = !!rewrite?.authority
  for (const operation of ['set', 'add'] as const) {
    for (const name of Object.keys(headers?.request?.[operation] ?? {})) {
      if (!isAuthorityHeader(name)) continue
      if (isSet)
        findings.error([...path, 'headers', 'request', operation, name], 'the authority is set twice')
      isSet = true
    }
  }
}

function checkSniHost(
  host: string,
  spec: VirtualServiceSpec,
  isForGatewaysOnly: boolean,
  path: FieldPath,
  findings: Findings,
): void {
  if (isIpAddress(host)) {
    findings.warn(path, 'clients send no SNI for an IP address')
    return
  }
  const problem = isForGatewaysOnly && CLUSTER_SNI.test(host) ? undefined : wildcardHostProblem(host)
  if (problem) findings.error(path, problem)
  else if (!(spec.hosts ?? []).some(covering => isWithin(host, covering)))
    findings.error(path, `${host} is none of the hosts of this VirtualService`)
}

/** Whether every host that `inner` means is meant by `outer` too. */
function isWithin(inner: string, outer: string): boolean {
  if (!outer.startsWith('*')) return inner === outer
  return inner.replace(/^\*/, '').endsWith(outer.slice(1)) && inner.length >= outer.length
}
