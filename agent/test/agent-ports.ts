import { freePorts } from '@seine/testing'
import type { AgentPorts } from '../src/settings.ts'

/** Ports for an agent that nobody listens on. */
export async function agentPorts(): Promise<AgentPorts> {
  const [admin = 0, dns = 0, metrics = 0, health = 0, prometheus = 0] = await freePorts(5)
  return { admin, dns, metrics, health, prometheus }
}
