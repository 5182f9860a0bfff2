import type { ReadinessProbe } from '@seine/api'
import { probeOnce } from './probes.ts'
import type { AgentSettings } from './settings.ts'
import type { ProbeAnswer } from './status-server.ts'

/** From where the sidecar calls the application, by family: the capture rules let that pass. */
const OWN_SOURCE = { ipv4: '127.0.0.6', ipv6: '::6' } as const

/** What the injector has the agent ask the application in place of a kubelet, by the path by which it is told to. */
export type AppProbes = Readonly<Record<string, ReadinessProbe>>

/** Asks the application what a kubelet would; undefined where the path is of no probe. */
export function askApplication(
  { appProbes, ip }: Pick<AgentSettings, 'appProbes' | 'ip'>,
  path: string,
): Promise<ProbeAnswer> | undefined {
  const probe = Object.hasOwn(appProbes, path) ? appProbes[path] : undefined
  if (!probe) return undefined
  const host = probe.httpGet?.host ?? probe.tcpSocket?.host ?? ip
  const from = host === ip ? OWN_SOURCE[ip.includes(':') ? 'ipv6' : 'ipv4'] : undefined
  const place = { host, ...(from === undefined ? {} : { from }) }
  return probeOnce(probe, { exec: false }, place).then(reason => ({ reason }))
}
