import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JsonObject } from '@bufbuild/protobuf'
import { ensureEnvoy } from '@seine/envoy-binary'
import { formatProblem } from '@seine/kit'
import { eventually } from './eventually.ts'

/** A real Envoy on a static configuration. */
export interface RunningEnvoy {
  /** The port that a listener was bound to: listeners ask for port 0. */
  portOf(listener: string): number
  /** The names of its listeners. */
  readonly listeners: readonly string[]
  stop(): Promise<void>
}

interface ListenerStatus {
  readonly name: string
  /** Of one on a Unix domain socket, there is no port. */
  readonly local_address: { readonly socket_address?: { readonly port_value: number } }
}

/** Starts Envoy and resolves when its listeners are bound; rejects with its own words if it takes offence. */
export async function startEnvoy(bootstrap: JsonObject): Promise<RunningEnvoy> {
  const found = await ensureEnvoy(() => undefined)
  if (!found.ok) throw new Error(formatProblem(found.error))
  const folder = await mkdtemp(join(tmpdir(), 'seine-envoy-'))
  const [config, admin] = [join(folder, 'bootstrap.json'), join(folder, 'admin')]
  await writeFile(config, JSON.stringify(bootstrap))
  const options = ['-c', config, '--admin-address-path', admin, '--use-dynamic-base-id']
  const child = spawn(found.value.path, [...options, '--concurrency', '1', '--log-level', 'error'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8')
  })
  const ended = new Promise<void>(resolve => child.on('exit', () => resolve()))
  const stop = async () => {
    child.kill('SIGKILL')
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const listeners = await eventually(async () => {
      if (child.exitCode !== null) return undefined
      const address = await readFile(admin, 'utf8')
      const answer = await fetch(`http://${address}/listeners?format=json`)
      const { listener_statuses: statuses = [] } = (await answer.json()) as {
        listener_statuses?: ListenerStatus[]
      }
      if (statuses.length === 0) throw new Error('no listener is bound yet')
      return statuses
    })
    if (!listeners) throw new Error(`Envoy ended: ${said}`)
    const ports = new Map(listeners.map(one => [one.name, one.local_address.socket_address?.port_value]))
    const portOf = (name: string) => {
      const port = ports.get(name)
      if (port === undefined) throw new Error(`there is no listener ${name}`)
      return port
    }
    return { portOf, listeners: [...ports.keys()], stop }
  } catch (failure) {
    await stop()
    throw failure
  }
}
