import type { KubernetesGateway } from '@seine/api'
import { bad, type Verdict } from './conditions.ts'
import type { Reader } from './incremental.ts'
import type { ConfigMapFacts, SecretFacts } from './inputs.ts'
import type { ListenerOwner } from './listeners.ts'
import { isPermitted, notPermitted } from './references.ts'

interface ObjectReference {
  readonly group: string
  readonly kind: string
  readonly name: string
  readonly namespace?: string | undefined
}

/** The secrets of a listener's certificates that are good, and what is wrong with the others. */
export function serverCertificates(
  read: Reader,
  owner: ListenerOwner,
  refs: readonly ObjectReference[],
  path: string,
): { certificates: string[]; problems: Verdict[] } {
  const certificates: string[] = []
  const problems: Verdict[] = []
  for (const [at, ref] of refs.entries()) {
    const problem = certificateProblem(read, owner, ref, `${path}.certificateRefs[${at}]`)
    if (problem) problems.push(problem)
    else certificates.push(`${ref.namespace ?? owner.namespace}/${ref.name}`)
  }
  return { certificates, problems }
}

function certificateProblem(
  read: Reader,
  owner: ListenerOwner,
  ref: ObjectReference,
  path: string,
): Verdict | undefined {
  const namespace = ref.namespace ?? owner.namespace
  if (ref.group !== '' || ref.kind !== 'Secret')
    return bad('InvalidCertificateRef', `a certificate is in a Secret, not in a ${ref.kind}`, `${path}.kind`)
  const target = { group: '', kind: 'Secret', namespace, name: ref.name }
  if (!isPermitted(read, owner, target)) return notPermitted(owner, target, `${path}.namespace`)
  const secret = read.input<SecretFacts>(`secret ${namespace}/${ref.name}`)
  if (!secret)
    return bad('InvalidCertificateRef', `there is no Secret ${namespace}/${ref.name}`, `${path}.name`)
  return secret.problem === undefined
    ? undefined
    : bad('InvalidCertificateRef', `Secret ${namespace}/${ref.name} ${secret.problem}`, `${path}.name`)
}

/** The Secret of the certificate that a Gateway shows to backends, as `namespace/name`, or why it has none. */
export function clientCertificate(
  read: Reader,
  { metadata, spec }: KubernetesGateway,
): { readonly secret?: string; readonly problem?: Verdict } {
  const ref = spec.tls?.backend?.clientCertificateRef
  if (!ref) return {}
  const owner = { kind: 'Gateway', namespace: metadata.namespace, name: metadata.name } as const
  const problem = certificateProblem(read, owner, ref, 'spec.tls.backend.clientCertificateRef')
  if (!problem) return { secret: `${ref.namespace ?? metadata.namespace}/${ref.name}` }
  const isOfCertificate = problem.reason === 'InvalidCertificateRef'
  return { problem: isOfCertificate ? { ...problem, reason: 'InvalidClientCertificateRef' } : problem }
}

/** How certificates of clients are checked. */
export interface ClientValidation {
  /** Certificates of authorities in PEM. */
  readonly authorities: string | undefined
  readonly optional: boolean
  readonly problems: readonly Verdict[]
  /** No authority is left: nobody could be let in. */
  readonly invalid: Verdict | undefined
}

/** What a Gateway asks of clients at a port: what is said for the port, else what is said for all. */
export function clientValidation(
  read: Reader,
  { metadata, spec }: KubernetesGateway,
  port: number,
): ClientValidation | undefined {
  const frontend = spec.tls?.frontend
  const at = frontend?.perPort?.findIndex(one => one.port === port) ?? -1
  const own = frontend?.perPort?.[at]
  const validation = own ? own.tls.validation : frontend?.default.validation
  if (!validation) return undefined
  const path = own
    ? `spec.tls.frontend.perPort[${at}].tls.validation`
    : 'spec.tls.frontend.default.validation'
  const from = { kind: 'Gateway', namespace: metadata.namespace }
  const problems: Verdict[] = []
  const authorities: string[] = []
  for (const [index, ref] of validation.caCertificateRefs.entries()) {
    const found = authorityOf(read, from, ref, `${path}.caCertificateRefs[${index}]`)
    if (typeof found === 'string') authorities.push(found)
    else problems.push(found)
  }
  const [problem] = problems
  return {
    authorities: authorities.length > 0 ? authorities.join('\n') : undefined,
    optional: validation.mode === 'AllowInsecureFallback',
    problems,
    invalid:
      authorities.length === 0
        ? bad(
            'NoValidCACertificate',
            `there is no authority to check clients by: ${problem?.message}`,
            problem?.path ?? path,
          )
        : undefined,
  }
}

function authorityOf(
  read: Reader,
  from: { kind: string; namespace: string },
  ref: ObjectReference,
  path: string,
): string | Verdict {
  const namespace = ref.namespace ?? from.namespace
  if (ref.group !== '' || ref.kind !== 'ConfigMap')
    return bad(
      'InvalidCACertificateKind',
      `an authority's certificate is in a ConfigMap, not in a ${ref.kind}`,
      `${path}.kind`,
    )
  const target = { group: '', kind: 'ConfigMap', namespace, name: ref.name }
  if (!isPermitted(read, from, target)) return notPermitted(from, target, `${path}.namespace`)
  const map = read.input<ConfigMapFacts>(`config ${namespace}/${ref.name}`)
  if (!map)
    return bad('InvalidCACertificateRef', `there is no ConfigMap ${namespace}/${ref.name}`, `${path}.name`)
  return (
    map.authorities ??
    bad(
      'InvalidCACertificateRef',
      `ConfigMap ${namespace}/${ref.name} holds no certificate in PEM as ca.crt`,
      `${path}.name`,
    )
  )
}
