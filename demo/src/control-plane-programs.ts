import { join } from 'node:path'
import { PATHS } from './paths.ts'
import { POD_NETWORK } from './runtime/addresses.ts'
import type { TokenSubject } from './runtime/tokens.ts'

/** A process of the control plane. */
export interface ControlPlaneProgram {
  readonly name: string
  readonly command: readonly string[]
  /** Answers `/readyz` on loopback. */
  readonly httpPort: number
}

/** What the control plane is to read and how it is to run. */
export interface ControlPlaneChoice {
  readonly stateFolder: string
  readonly app: string
  readonly config: string
  /** Each component as a process of its own. */
  readonly apart: boolean
  /** The longest life of workloads' certificates, as `seined` takes it. */
  readonly certTtl: string | undefined
}

/** Whom pilot speaks for when it asks a citadel in another process for its certificate. */
export const CONTROL_PLANE_ACCOUNT: TokenSubject = {
  namespace: 'seine-system',
  serviceAccount: 'seined',
  pod: 'seined-local',
}

const GATEWAY = POD_NETWORK.gateway
const HTTP_PORT = { pilot: 15014, citadel: 15114, hub: 15214, mixer: 15314 } as const
const PILOT_TLS_PORT = 15012
const CITADEL_TLS_PORT = 15112
const HUB = 'http://127.0.0.1:15080'

/** Where pilot finds its token for citadel, when they run apart. */
export function controlPlaneTokenFile(stateFolder: string): string {
  return join(stateFolder, 'control-plane', 'token')
}

/** Where pods reach citadel, if not where they reach pilot. */
export function citadelAddress(apart: boolean): string | undefined {
  return apart ? `${GATEWAY}:${CITADEL_TLS_PORT}` : undefined
}

/** The processes of the control plane in the order in which they start. */
export function controlPlanePrograms(choice: ControlPlaneChoice): readonly ControlPlaneProgram[] {
  const { stateFolder, app, config } = choice
  const folders = [config, `${stateFolder}/pods`, app].flatMap(folder => ['--config', folder])
  const state = ['--state', stateFolder]
  const bind = ['--bind', GATEWAY]
  const ttl = choice.certTtl === undefined ? [] : ['--workload-cert-ttl', choice.certTtl]
  const seined = (...args: readonly string[]) => [process.execPath, PATHS.seined, ...args]
  if (!choice.apart) {
    const command = seined('all', ...folders, ...state, ...bind, ...ttl)
    return [{ name: 'seined', command, httpPort: HTTP_PORT.pilot }]
  }
  const httpPort = (name: keyof typeof HTTP_PORT) => ['--http-port', String(HTTP_PORT[name])]
  const citadel = join(stateFolder, 'citadel')
  const commands = {
    citadel: [...state, ...bind, '--tls-port', String(CITADEL_TLS_PORT), ...ttl],
    pilot: [
      ...[...folders, ...state, ...bind, '--tls-port', String(PILOT_TLS_PORT)],
      ...['--citadel', `${GATEWAY}:${CITADEL_TLS_PORT}`, '--root-cert', join(citadel, 'root-cert.pem')],
      ...['--token-file', controlPlaneTokenFile(stateFolder)],
      ...['--token-issuers', join(citadel, 'token-issuers.json')],
    ],
    hub: [...folders, '--pilot', `http://127.0.0.1:${HTTP_PORT.pilot}`],
    mixer: [...bind, '--hub', HUB],
  } as const
  return (['citadel', 'pilot', 'hub', 'mixer'] as const).map(name => ({
    name,
    command: seined(name, ...commands[name], ...httpPort(name)),
    httpPort: HTTP_PORT[name],
  }))
}
