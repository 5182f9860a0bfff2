import type { Container } from '@seine/api'
import { isRecord } from '@seine/kit'

/** Where the agent serves what it asks the application. */
const AGENT_PORT = 15020
/** The fields of a container that are asked from outside, and what the agent's path for each ends with; Istio's names. */
const PROBES = { readinessProbe: 'readyz', livenessProbe: 'livez', startupProbe: 'startupz' } as const
const HANDLERS = { preStop: 'prestopz', postStart: 'poststartz' } as const

/** What to ask an application, in Kubernetes' words with the port as a number. */
export interface AppProbe {
  readonly httpGet?: object
  readonly tcpSocket?: object
  readonly grpc?: object
  readonly timeoutSeconds?: number
}

/** Containers whose probes go to the agent, and what the agent asks then, by path. */
export interface RewrittenProbes<T> {
  readonly containers: readonly T[]
  readonly probes: Readonly<Record<string, AppProbe>>
}

type Loose = Readonly<Record<string, unknown>>

/**
 * Has the agent ask what a kubelet would ask the application: it has no certificate of the mesh, and the sidecar would
 * turn it away where only mutual TLS is taken. What names a host of its own, a port that is not there, or a program to run,
 * stays as it is, and so do
 * init containers: they run before the agent.
 *
 * @param host where the agent asks, if that is not the pod's address
 */
export function rewriteProbes<T extends Container>(
  containers: readonly T[],
  host: string | undefined,
): RewrittenProbes<T> {
  const probes: Record<string, AppProbe> = {}
  const rewritten = containers.map(container => {
    const rewrite = (given: unknown, path: string): unknown => {
      const asked = askedBy(given, container, host)
      if (!asked) return given
      probes[path] = asked
      const { httpGet = {}, tcpSocket: _tcp, grpc: _grpc, ...times } = given as { httpGet?: Loose } & Loose
      return { ...times, httpGet: { ...httpGet, path, port: AGENT_PORT, ...inPlaintext(httpGet) } }
    }
    const own = Object.entries(PROBES).map(([field, end]) => [
      field,
      rewrite((container as Loose)[field], `/app-health/${container.name}/${end}`),
    ])
    const lifecycle = (container as { lifecycle?: unknown }).lifecycle
    const handlers = isRecord(lifecycle)
      ? Object.entries(HANDLERS).map(([field, end]) => [
          field,
          rewrite(lifecycle[field], `/app-lifecycle/${container.name}/${end}`),
        ])
      : []
    return {
      ...container,
      ...given(own),
      ...(isRecord(lifecycle) ? { lifecycle: { ...lifecycle, ...given(handlers) } } : {}),
    }
  })
  return { containers: rewritten, probes }
}

/** What a probe asks the application, or undefined where the agent can't ask it. */
function askedBy(probe: unknown, { ports = [] }: Container, host: string | undefined): AppProbe | undefined {
  if (!isRecord(probe)) return undefined
  const { httpGet, tcpSocket, grpc, timeoutSeconds } = probe
  const timeout = typeof timeoutSeconds === 'number' ? { timeoutSeconds } : {}
  const place = host === undefined ? {} : { host }
  const placed = (action: unknown): Loose | undefined => {
    if (!isRecord(action) || action['host'] !== undefined) return undefined
    const port = portOf(action['port'], ports)
    return port === undefined || port === AGENT_PORT ? undefined : { ...action, ...place, port }
  }
  const [http, tcp, call] = [placed(httpGet), placed(tcpSocket), placed(grpc)]
  if (http) return { httpGet: http, ...timeout }
  if (tcp) return { tcpSocket: tcp, ...timeout }
  return call && { grpc: call, ...timeout }
}

function portOf(port: unknown, ports: NonNullable<Container['ports']>): number | undefined {
  if (typeof port === 'number') return port
  if (typeof port !== 'string') return undefined
  if (/^\d+$/.test(port)) return Number(port)
  return ports.find(({ name }) => name === port)?.containerPort
}

/** The agent takes plaintext, whatever the application takes from the agent. */
function inPlaintext({ scheme }: Loose): object {
  return scheme === undefined ? {} : { scheme: 'HTTP' }
}

function given(fields: readonly (readonly unknown[])[]): object {
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined) as [string, unknown][])
}
