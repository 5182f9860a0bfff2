import type { BackendTlsPolicy } from '@seine/api'
import { byAge } from '../age.ts'
import { serviceHostname } from '../host.ts'
import { bad, condition, good, type Verdict } from './conditions.ts'
import type { BackendTls } from './derived.ts'
import { CONTROLLER_NAME } from './gateway-classes.ts'
import type { Query, Reader } from './incremental.ts'
import { type ConfigMapFacts, listed, objectOf, type ServiceFacts } from './inputs.ts'
import { GROUP, parseKey } from './objects.ts'
import { resolvedRefs } from './references.ts'
import { routeState } from './route-conflicts.ts'
import type { ParentInStatus, Status } from './status.ts'

/** How gateways connect to a Service, by `namespace/name`: a policy for a port before one for all. */
export const backendTls: Query<readonly BackendTls[] | undefined> = {
  name: 'backendTls',
  compute(key, read) {
    const winners = read.ask(policiesInForce, key)
    const [namespace = '', name = ''] = key.split('/')
    const found: BackendTls[] = []
    for (const [section, policyName] of Object.entries(winners)) {
      const policy = objectOf(read, 'BackendTLSPolicy', namespace, policyName)
      const facts = read.input<ServiceFacts>(`service ${serviceHostname(name, namespace)}`)
      if (!policy || !facts) continue
      const port = section === ANY_SECTION ? undefined : facts.portNames[section]
      if (section !== ANY_SECTION && port === undefined) continue
      found.push(tlsOf(read, policy, port))
    }
    return found.length > 0 ? found : undefined
  },
}

/** What stands for a whole Service among its ports' names. */
const ANY_SECTION = ''

/** The name of the policy that counts for each port of a Service, by `namespace/name`: the oldest. */
const policiesInForce: Query<Readonly<Record<string, string>>> = {
  name: 'policies',
  compute(key, read) {
    const [namespace = '', name = ''] = key.split('/')
    const policies = listed(read, 'policiesOf', key)
      .flatMap(one => objectOf(read, 'BackendTLSPolicy', namespace, parseKey(one).name) ?? [])
      .sort(byAge)
    const winners: Record<string, string> = {}
    for (const policy of policies)
      for (const ref of policy.spec.targetRefs)
        if (isService(ref) && ref.name === name)
          winners[ref.sectionName ?? ANY_SECTION] ??= policy.metadata.name
    return winners
  },
}

function isService({ group, kind }: { group: string; kind: string }): boolean {
  return group === '' && kind === 'Service'
}

function tlsOf(read: Reader, policy: BackendTlsPolicy, port: number | undefined): BackendTls {
  const { metadata, spec } = policy
  const { hostname, subjectAltNames = [], wellKnownCACertificates } = spec.validation
  const { authorities } = authoritiesOf(read, policy)
  return {
    cause: {
      kind: 'BackendTLSPolicy',
      namespace: metadata.namespace,
      name: metadata.name,
      path: 'spec.validation',
    },
    port,
    sni: hostname,
    subjectAltNames:
      subjectAltNames.length > 0
        ? subjectAltNames.map(({ type, hostname: dns = '', uri = '' }) =>
            type === 'URI' ? { type: 'URI', value: uri } : { type: 'DNS', value: dns },
          )
        : [{ type: 'DNS', value: hostname }],
    authorities: wellKnownCACertificates === 'System' ? 'system' : (authorities ?? 'none'),
  }
}

function authoritiesOf(
  read: Reader,
  { metadata, spec }: BackendTlsPolicy,
): { authorities: string | undefined; problems: Verdict[] } {
  const found: string[] = []
  const problems: Verdict[] = []
  for (const [index, ref] of (spec.validation.caCertificateRefs ?? []).entries()) {
    const path = `spec.validation.caCertificateRefs[${index}]`
    if (ref.group !== '' || ref.kind !== 'ConfigMap') {
      problems.push(
        bad(
          'InvalidKind',
          `an authority's certificate is in a ConfigMap, not in a ${ref.kind}`,
          `${path}.kind`,
        ),
      )
      continue
    }
    const name = `${metadata.namespace}/${ref.name}`
    const facts = read.input<ConfigMapFacts>(`config ${name}`)
    if (facts?.authorities) found.push(facts.authorities)
    else
      problems.push(
        bad(
          'InvalidCACertificateRef',
          facts ? `ConfigMap ${name} holds no certificate in PEM as ca.crt` : `there is no ConfigMap ${name}`,
          `${path}.name`,
        ),
      )
  }
  return { authorities: found.length > 0 ? found.join('\n') : undefined, problems }
}

/** The specification's limit of ancestors in a status. */
const MAX_ANCESTORS = 16

/** The status of a BackendTLSPolicy, by its key. */
export const backendTlsStatus: Query<Status | undefined> = {
  name: 'policyStatus',
  compute(key, read) {
    const { namespace, name } = parseKey(key)
    const policy = objectOf(read, 'BackendTLSPolicy', namespace, name)
    if (!policy) return undefined
    const { problems } = authoritiesOf(read, policy)
    const accepted = policyAccepted(read, policy, problems)
    const targets = targetProblems(read, policy)
    const gateways = new Set(
      policy.spec.targetRefs
        .filter(isService)
        .flatMap(ref => read.ask(gatewaysSendingTo, `${namespace}/${ref.name}`)),
    )
    const { generation } = policy.metadata
    const ancestors = [...gateways]
      .sort()
      .slice(0, MAX_ANCESTORS)
      .map(gateway => ({
        ancestorRef: ancestorOf(gateway),
        controllerName: CONTROLLER_NAME,
        conditions: [
          condition('Accepted', accepted, generation),
          condition('ResolvedRefs', resolvedRefs(problems), generation),
        ],
      }))
    return { body: { ancestors }, findings: [...(accepted.ok ? [] : [accepted]), ...problems, ...targets] }
  },
}

function ancestorOf(gateway: string): ParentInStatus {
  const [namespace = '', name = ''] = gateway.split('/')
  return { group: GROUP, kind: 'Gateway', namespace, name }
}

function targetProblems(read: Reader, { metadata, spec }: BackendTlsPolicy): Verdict[] {
  return spec.targetRefs.flatMap((ref, index) => {
    const path = `spec.targetRefs[${index}]`
    if (!isService(ref))
      return bad('TargetNotFound', `a policy is for a Service, not for a ${ref.kind}`, `${path}.kind`)
    const facts = read.input<ServiceFacts>(`service ${serviceHostname(ref.name, metadata.namespace)}`)
    if (!facts)
      return bad('TargetNotFound', `there is no Service ${metadata.namespace}/${ref.name}`, `${path}.name`)
    return ref.sectionName === undefined || ref.sectionName in facts.portNames
      ? []
      : bad(
          'TargetNotFound',
          `Service ${metadata.namespace}/${ref.name} has no port named ${ref.sectionName}`,
          `${path}.sectionName`,
        )
  })
}

function policyAccepted(read: Reader, policy: BackendTlsPolicy, problems: readonly Verdict[]): Verdict {
  const { metadata, spec } = policy
  for (const [index, ref] of spec.targetRefs.entries()) {
    if (!isService(ref)) continue
    const winner = read.ask(policiesInForce, `${metadata.namespace}/${ref.name}`)[
      ref.sectionName ?? ANY_SECTION
    ]
    if (winner !== metadata.name)
      return bad(
        'Conflicted',
        `BackendTLSPolicy ${winner} is older and for Service ${ref.name} too`,
        `spec.targetRefs[${index}]`,
      )
  }
  const { caCertificateRefs = [], wellKnownCACertificates } = spec.validation
  if (wellKnownCACertificates && wellKnownCACertificates !== 'System')
    return bad(
      'Invalid',
      `${wellKnownCACertificates} is no set of certificates that is known here: use System`,
      'spec.validation.wellKnownCACertificates',
    )
  const [option] = Object.keys(spec.options ?? {})
  if (option !== undefined) return bad('Invalid', `the option ${option} is not supported`, 'spec.options')
  return caCertificateRefs.length > 0 && problems.length === caCertificateRefs.length
    ? bad(
        'NoValidCACertificate',
        `there is no authority to check the server by: ${problems[0]?.message}`,
        'spec.validation.caCertificateRefs',
      )
    : good('Accepted', 'gateways connect by TLS')
}

/** The Gateways, by `namespace/name`, that have routes to a Service. */
const gatewaysSendingTo: Query<readonly string[]> = {
  name: 'gatewaysTo',
  compute(key, read) {
    const found = new Set<string>()
    for (const route of listed(read, 'routesTo', key))
      for (const { listeners } of read.ask(routeState, route)?.parents ?? [])
        for (const { gateway } of listeners) found.add(gateway)
    return [...found].sort()
  },
}
