import { readFile } from 'node:fs/promises'

const LISTEN = '0A'

/** The TCP ports that the kernel's table (`/proc/<pid>/net/tcp`) shows as listening. */
export function listeningPorts(table: string): ReadonlySet<number> {
  const ports = new Set<number>()
  for (const line of table.split('\n').slice(1)) {
    const [, local, , state] = line.trim().split(/\s+/)
    const port = local?.split(':')[1]
    if (state === LISTEN && port !== undefined) ports.add(Number.parseInt(port, 16))
  }
  return ports
}

/** The TCP ports something listens on in the network namespace of a process. Opens no connection. */
export async function portsListeningBeside(pid: number): Promise<ReadonlySet<number>> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map(
      name => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => ''), // The process ended: nothing listens.
    ),
  )
  return new Set(tables.flatMap(table => [...listeningPorts(table)]))
}
