import { spawn } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Footing } from './privileges.ts'
import { INSIDE_VARIABLE } from './privileges.ts'
import { run } from './runtime/command.ts'

const HUB_PORT = 15080

/** A Unix socket crosses network namespaces: it joins the hub inside to the port outside. */
function socketPath(stateFolder: string): string {
  return join(stateFolder, 'hub.sock')
}

/**
 * Runs this program again inside a user namespace, where it may do what it can't outside, and serves
 * the hub's port on the real loopback. Resolves with the exit code.
 */
export async function runInside(
  footing: Footing & { kind: 'user-namespace' },
  stateFolder: string,
): Promise<number> {
  await mkdir(stateFolder, { recursive: true })
  // Fails when another demo has the port; the one inside finds the lock taken and says whose it is.
  const relay = await listen({ host: '127.0.0.1', port: HUB_PORT }, { path: socketPath(stateFolder) })
  const [script = '', ...args] = process.argv.slice(1)
  const child = spawn(
    'unshare',
    [...footing.unshare, '--', 'setpriv', '--pdeathsig', 'TERM', '--', process.execPath, script, ...args],
    { stdio: 'inherit', env: { ...process.env, [INSIDE_VARIABLE]: footing.ids } },
  )
  // A terminal sends Ctrl-C to both; the one inside stops everything and then ends.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  const code = await new Promise<number>(resolve => {
    child.on('exit', (exitCode, signal) => resolve(exitCode ?? (signal === null ? 1 : 128)))
    child.on('error', () => resolve(1))
  })
  relay?.close()
  return code
}

/** Makes the new namespaces usable: loopback, a `/run` of our own for `ip netns`, and the hub's socket. */
export async function settleInside(stateFolder: string): Promise<readonly string[]> {
  const steps = [
    await run('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'seine-run', '/run']),
    await run('ip', ['link', 'set', 'lo', 'up']),
  ]
  const failures = steps.flatMap(step => (step.ok ? [] : [step.error]))
  await rm(socketPath(stateFolder), { force: true })
  const relay = await listen({ path: socketPath(stateFolder) }, { host: '127.0.0.1', port: HUB_PORT })
  relay?.unref()
  return relay === undefined ? [...failures, `can't listen on ${socketPath(stateFolder)}`] : failures
}

type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/** Listens at one address and joins each connection to another. */
function listen(from: Address, to: Address): Promise<Server | undefined> {
  return new Promise(resolve => {
    const server = createServer({ allowHalfOpen: true }, socket =>
      joinSockets(socket, connect({ ...to, allowHalfOpen: true })),
    )
    server.on('error', () => resolve(undefined))
    server.listen(from, () => resolve(server))
  })
}

function joinSockets(one: Socket, other: Socket): void {
  one.pipe(other)
  other.pipe(one)
  one.on('error', () => other.destroy())
  other.on('error', () => one.destroy())
}
