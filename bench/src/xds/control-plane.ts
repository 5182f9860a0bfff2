import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Closable } from '@seine/kit'
import type { ControlPlaneArguments, Usage } from './control-plane-process.ts'

/** Seine's own citadel and pilot, reading a folder of YAML, in a process of their own. */
export class ControlPlane implements Closable {
  /** `host:port` of its plaintext ADS. */
  readonly address: string
  readonly #process: ChildProcess

  private constructor(process: ChildProcess, address: string) {
    this.#process = process
    this.address = address
  }

  /** Resolves when the configuration is read and proxies are served. `profile` is a folder for a CPU profile. */
  static async start(
    configFolder: string,
    stateFolder: string,
    profile: string | undefined,
  ): Promise<ControlPlane> {
    const [xds, tls, http] = await freePorts(3)
    const settings: ControlPlaneArguments = { configFolder, stateFolder, ports: { xds, tls, http } }
    const child = fork(
      fileURLToPath(new URL('./control-plane-process.js', import.meta.url)),
      [JSON.stringify(settings)],
      { execArgv: profile ? ['--cpu-prof', '--cpu-prof-dir', join(profile)] : [] },
    )
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the control plane ended with ${code} before it was ready`)
    })
    await Promise.race([once(child, 'message'), ended])
    ended.catch(() => {})
    return new ControlPlane(child, `127.0.0.1:${xds}`)
  }

  /** What it has used since it started. */
  async usage(): Promise<Usage> {
    const answer = once(this.#process, 'message')
    this.#process.send('usage')
    const [usage] = await answer
    return usage as Usage
  }

  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const gone = once(this.#process, 'exit')
    this.#process.disconnect()
    await gone
  }
}

async function freePorts(count: 3): Promise<[number, number, number]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(async server => {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const address = server.address()
      return typeof address === 'object' && address ? address.port : 0
    }),
  )
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports as [number, number, number]
}
