import type { AgentPorts } from '../src/settings.ts'

/** How many ports an agent needs. */
export const AGENT_PORTS = 5

/** An agent's ports, in any order. */
export function agentPorts(ports: readonly number[]): AgentPorts {
  const [admin = 0, dns = 0, metrics = 0, health = 0, prometheus = 0] = ports
  return { admin, dns, metrics, health, prometheus }
}
