import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually, ROOT } from '../harness/index.ts'
import type { OwnMesh } from '../resilience/own-mesh.ts'

const PROGRAMS = fileURLToPath(new URL('./programs', import.meta.url))
const WAIT = { timeoutMs: 30_000 }
let agents = 0

/** A workload of namespace `shop` with its address, which is one of the loopback's. */
export interface Workload {
  readonly name: string
  readonly address: string
  /** A port of its own: gRPC servers that are told by a control plane listen at all addresses. */
  readonly port: number
  readonly account: string
  readonly labels: Readonly<Record<string, string>>
}

/** What a call came back with: an answer, or gRPC's status. */
export interface Called {
  /** Who answered. */
  readonly name?: string
  /** The names in the caller's certificate, as the server saw it; empty over plaintext. */
  readonly caller?: string
  /** What a sidecar said of the caller. */
  readonly forwarded?: string
  readonly code?: number
  readonly details?: string
}

/** What a test asks of a client. */
export interface Question {
  readonly target: string
  readonly method?: 'SayHello' | 'Secret'
  readonly count?: number
  readonly header?: string
  readonly timeout?: number
}

/** Starts a workload's agent, without an Envoy unless it is asked for, and waits until it is ready. @returns its bootstrap's path. */
export async function startAgent(mesh: OwnMesh, workload: Workload, envoy = false): Promise<string> {
  const { name, address, account, labels } = workload
  agents += 1
  const own = join(mesh.folder, name)
  await mkdir(own)
  await writeFile(join(own, 'token'), mesh.token({ serviceAccount: account, pod: name }))
  const [metrics, health] = envoy ? [15020, 15021] : [15200 + agents, 15300 + agents]
  const bootstrap = join(own, 'grpc-bootstrap.json')
  mesh.start([process.execPath, join(ROOT, 'agent', 'bin', 'seine-agent.js'), 'proxy'], {
    POD_NAME: name,
    POD_NAMESPACE: 'shop',
    SERVICE_ACCOUNT: account,
    WORKLOAD_NAME: name,
    INSTANCE_IP: address,
    LABELS: JSON.stringify(labels),
    CA_ADDR: '127.0.0.1:15012',
    XDS_ADDR: '127.0.0.1:15012',
    TOKEN_FILE: join(own, 'token'),
    ROOT_CERT_FILE: join(mesh.folder, 'state', 'citadel', 'root-cert.pem'),
    RUN_DIR: own,
    METRICS_PORT: String(metrics),
    HEALTH_PORT: String(health),
    DRAIN_MS: '0',
    ...(envoy
      ? {}
      : { DISABLE_ENVOY: 'true', GRPC_XDS_BOOTSTRAP: bootstrap, OUTPUT_CERTS: join(own, 'certs') }),
  })
  const waited = await mesh.run(
    process.execPath,
    join(ROOT, 'agent', 'bin', 'seine-agent.js'),
    'wait',
    '--port',
    String(health),
  )
  if (waited.code !== 0)
    throw new Error(`the agent of ${name} is not ready: ${waited.stdout}${waited.stderr}`)
  return bootstrap
}

/** Starts a server that listens; with a bootstrap it is told by the control plane what it takes. */
export async function startServer(
  mesh: OwnMesh,
  name: string,
  listens: string,
  bootstrap?: string,
): Promise<void> {
  const kind = bootstrap === undefined ? 'plain' : 'xds'
  const process = mesh.start(program('server.mjs', name, listens, kind), libraryOf(bootstrap))
  await eventually(async () => {
    const output = await process.output()
    if (!output.includes('serving')) throw new Error(`${name} does not serve: ${output}`)
  }, WAIT)
}

/** Starts a client. @returns what makes calls with it. */
export async function startClient(
  mesh: OwnMesh,
  port: number,
  bootstrap: string,
): Promise<(question: Question) => Promise<readonly Called[]>> {
  const process = mesh.start(program('client.mjs', String(port)), libraryOf(bootstrap))
  await eventually(async () => {
    const output = await process.output()
    if (!output.includes('listening')) throw new Error(`the client does not listen: ${output}`)
  }, WAIT)
  return async question => {
    const asked = new URLSearchParams()
    for (const [key, value] of Object.entries(question)) asked.set(key, String(value))
    const answer = await mesh.get(port, `/?${asked}`)
    if (!answer.startsWith('200 ')) throw new Error(`the client answers ${answer}`)
    return JSON.parse(answer.slice(4)) as readonly Called[]
  }
}

function program(file: string, ...args: readonly string[]): readonly string[] {
  return [process.execPath, join(PROGRAMS, file), ...args]
}

/** What the injector tells an application's library. */
function libraryOf(bootstrap: string | undefined): Readonly<Record<string, string>> {
  if (bootstrap === undefined) return {}
  return {
    GRPC_XDS_BOOTSTRAP: bootstrap,
    GRPC_XDS_EXPERIMENTAL_SECURITY_SUPPORT: 'true',
    GRPC_XDS_EXPERIMENTAL_RBAC: 'true',
  }
}
