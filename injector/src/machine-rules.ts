import type { ObjectMeta } from '@seine/api'
import { ok, type Problem, type Result } from '@seine/kit'
import { readAnnotations } from './annotations.ts'
import { captureRules } from './capture-rules.ts'

/** Whoever administers a machine must reach it when its sidecar does not run. */
const SSH_PORT = 22

/**
 * The capture rules of a machine that is no pod, by the same annotations as a pod's: input for `iptables-restore`.
 * Connections to SSH are left alone.
 *
 * @param metadata of the workload, with the annotations that its WorkloadGroup gives it
 * @param proxyUid the user that Envoy and the agent run as
 * @returns the rules, or what is wrong with the annotations.
 */
export function machineRules(metadata: ObjectMeta, proxyUid: number): Result<string, Problem[]> {
  const read = readAnnotations(metadata)
  if (!read.ok) return read
  const { capture } = read.value
  const excludeInboundPorts = [...capture.excludeInboundPorts, SSH_PORT]
  return ok(captureRules({ ...capture, excludeInboundPorts, proxyUid, captureDns: true }))
}
