import { createServer } from 'node:net'
import type { AgentPorts } from '../src/settings.ts'

/** Ports that nobody listens on. */
export async function freePorts(): Promise<AgentPorts> {
  const servers = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const server = createServer()
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const [admin = 0, dns = 0, metrics = 0, health = 0, prometheus = 0] = servers.map(server => {
    const address = server.address()
    return typeof address === 'object' && address ? address.port : 0
  })
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return { admin, dns, metrics, health, prometheus }
}
