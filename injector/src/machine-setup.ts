import type { MeshConfig, ObjectMeta, ProxyConfig } from '@seine/api'
import { ok, type Problem, type Result } from '@seine/kit'
import { readAnnotations } from './annotations.ts'
import { captureRules } from './capture-rules.ts'
import { effectiveProxyConfig } from './proxy-config.ts'
import { authoritiesOf, proxyEnvironment } from './proxy-environment.ts'

/** Whoever administers a machine must reach it when its sidecar does not run. */
const SSH_PORT = 22

/** How a machine that is no pod captures traffic, and how its agent and Envoy start. */
export interface MachineSetup {
  /** Input for `iptables-restore`. Connections to SSH are left alone. */
  readonly rules: string
  /** Variables of the agent. */
  readonly environment: Readonly<Record<string, string>>
}

/**
 * What a machine is told by the same annotations, ProxyConfigs and settings as a pod.
 *
 * @param metadata of the workload, with the annotations that its WorkloadGroup gives it
 * @param proxyUid the user that Envoy and the agent run as
 * @returns the setup, or what is wrong with the annotations.
 */
export function machineSetup(
  metadata: ObjectMeta,
  proxyUid: number,
  mesh: MeshConfig,
  proxyConfigs: readonly ProxyConfig[],
): Result<MachineSetup, Problem[]> {
  const read = readAnnotations(metadata)
  if (!read.ok) return read
  const { capture, proxyConfig, statistics, container } = read.value
  const excludeInboundPorts = [...capture.excludeInboundPorts, SSH_PORT]
  const config = effectiveProxyConfig(metadata, proxyConfig, proxyConfigs, mesh)
  return ok({
    rules: captureRules({
      ...capture,
      excludeInboundPorts,
      proxyUid,
      captureDns: config.environment['ISTIO_META_DNS_CAPTURE'] !== 'false',
    }),
    environment: {
      ...config.environment,
      ...proxyEnvironment({ config, statistics, levels: container.levels, authorities: authoritiesOf(mesh) }),
      ...(proxyConfig.discoveryAddress === undefined ? {} : { XDS_ADDR: proxyConfig.discoveryAddress }),
    },
  })
}
