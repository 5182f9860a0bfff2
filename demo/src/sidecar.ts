import { POD_NETWORK } from './runtime/addresses.ts'
import type { PlannedPod } from './runtime/expand.ts'
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
      CA_ADDR: `${GATEWAY}:15012`,
      XDS_ADDR: `${GATEWAY}:15012`,
      OTLP_ADDR: `${GATEWAY}:4317`,
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
 * connections instead, and the agent is known by where it goes: to the control plane.
 */
export function rulesWithoutUsers(rules: string): string {
  const byMark = rules.replaceAll(
    /-m owner (!\s*)?--uid-owner 1337/g,
    (_, not: string | undefined) => `-m mark ${not ?? ''}--mark ${PROXY_MARK}`,
  )
  const byGroup = byMark.split('\n').filter(line => !line.includes('--gid-owner'))
  const first = byGroup.findIndex(line => line.startsWith('-A OUTPUT'))
  if (first < 0) return byGroup.join('\n')
  return [...byGroup.slice(0, first), `-A OUTPUT -d ${GATEWAY}/32 -j RETURN`, ...byGroup.slice(first)].join(
    '\n',
  )
}

/** The injector's two functions, as its contract has them. */
interface Injector {
  injectPod(
    pod: Pick<PlannedPod, 'metadata' | 'spec'>,
    options: InjectOptions,
  ): Pick<PlannedPod, 'metadata' | 'spec'>
  captureRules(options: InjectOptions): string
}

interface InjectOptions {
  readonly workloadName: string
  readonly trustDomain: string
  readonly xdsAddress: string
  readonly caAddress: string
  readonly otlpAddress: string
}

/** Loads the injector. */
export async function makeSidecar(changeUser: boolean): Promise<Inject> {
  const injector = (await import('@seine/injector')) as unknown as Injector
  return pod => {
    const options: InjectOptions = {
      workloadName: pod.workload,
      trustDomain: 'cluster.local',
      xdsAddress: `${GATEWAY}:15012`,
      caAddress: `${GATEWAY}:15012`,
      otlpAddress: `${GATEWAY}:4317`,
    }
    const injected = injector.injectPod({ metadata: pod.metadata, spec: pod.spec }, options)
    const rules = injector.captureRules(options)
    return { pod: { ...pod, ...injected }, rules: changeUser ? rules : rulesWithoutUsers(rules) }
  }
}
