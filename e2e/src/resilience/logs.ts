import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Mesh, Pod } from '../harness/index.ts'

/** A line of a log in JSON. */
export type LogLine = Readonly<Record<string, unknown>>

/** The lines of a log that are JSON objects; what other programs wrote into it is left out. */
export async function readLog(file: string): Promise<readonly LogLine[]> {
  const lines = (await readFile(file, 'utf8')).split('\n')
  return lines.filter(line => line.startsWith('{') && line.endsWith('}')).map(line => JSON.parse(line))
}

/** The control plane's log. */
export function controlPlaneLog(mesh: Mesh, component = 'seined'): Promise<readonly LogLine[]> {
  return readLog(join(mesh.place.stateFolder, 'logs', `${component}.log`))
}

/** The log of a pod's sidecar: the agent's, and Envoy's within it. */
export function sidecarLog(mesh: Mesh, pod: Pod): Promise<readonly LogLine[]> {
  return readLog(join(mesh.place.stateFolder, 'logs', pod.name, 'seine-proxy.log'))
}
