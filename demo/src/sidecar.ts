import { type InjectOptions, injectPod, reasonToSkip } from '@seine/injector'
import { err, formatProblem, ok } from '@seine/kit'
import { POD_NETWORK } from './runtime/addresses.ts'
import type { Machine } from './runtime/pod.ts'
import type { Inject } from './runtime/runtime.ts'
import { INSIDE } from './runtime/sandbox.ts'

const GATEWAY = POD_NETWORK.gateway
const PROXY_MARK = '0x539' // 1337

/**
 * What the local machine puts in place of the proxy's image: where its programs lie, and addresses and
 * files as they are in our pods.
 */
export function sidecarMachine(changeUser: boolean): Pick<Machine, 'programs' | 'proxyEnv'> {
  const envoy = changeUser ? INSIDE.envoy : INSIDE.markedEnvoy
  return {
    programs: { 'seine-agent': ['node', `${INSIDE.root}/agent/bin/seine-agent.js`] },
    proxyEnv: {
      TOKEN_FILE: INSIDE.token,
      ROOT_CERT_FILE: INSIDE.rootCert,
      RUN_DIR: INSIDE.proxyRun,
      ENVOY: envoy,
      SEINE_ENVOY: envoy,
    },
  }
}

/**
 * Capture rules know the proxy by its user id. Where there is only one user id, Envoy marks its
 * connections instead, and the agent is known by where it goes: to the control plane, which has IPv4.
 */
export function rulesWithoutUsers(rules: string, withControlPlane: boolean): string {
  const byMark = rules.replaceAll(
    /-m owner (!\s*)?--uid-owner 1337/g,
    (_, not: string | undefined) => `-m mark ${not ?? ''}--mark ${PROXY_MARK}`,
  )
  const byGroup = byMark.split('\n').filter(line => !line.includes('--gid-owner'))
  const first = byGroup.findIndex(line => line.startsWith('-A OUTPUT'))
  if (first < 0 || !withControlPlane) return byGroup.join('\n')
  return [...byGroup.slice(0, first), `-A OUTPUT -d ${GATEWAY}/32 -j RETURN`, ...byGroup.slice(first)].join(
    '\n',
  )
}

/** The injector, told where the local machine's control plane is, and citadel if that is elsewhere. */
export function makeSidecar(
  changeUser: boolean,
  settings: Pick<InjectOptions, 'mesh' | 'proxyConfigs'>,
  citadel?: string,
): Inject {
  const options: InjectOptions = {
    controlPlane: `${GATEWAY}:15012`,
    citadel,
    otlp: `${GATEWAY}:4317`,
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    image: 'seine/proxy',
    captureDns: true,
    ...settings,
  }
  return (pod, namespaceLabels) => {
    if (reasonToSkip(pod, namespaceLabels) !== undefined) return ok({ pod })
    const injected = injectPod({ metadata: pod.metadata, spec: pod.spec }, options)
    if (!injected.ok) return err(injected.error.map(formatProblem).join('; '))
    const { metadata, spec } = injected.value.pod
    const captured = injected.value.rules
    const rules =
      captured === undefined || changeUser
        ? captured
        : { ipv4: rulesWithoutUsers(captured.ipv4, true), ipv6: rulesWithoutUsers(captured.ipv6, false) }
    return ok({
      pod: {
        ...pod,
        metadata: { ...pod.metadata, ...metadata, ownerReferences: pod.metadata.ownerReferences },
        spec,
      },
      ...(rules === undefined ? {} : { rules }),
    })
  }
}
