import { execFile } from 'node:child_process'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { Client, credentials } from '@grpc/grpc-js'
import type { ReadinessProbe } from '@seine/api'
import { errorMessage } from '@seine/kit'

/** Where the workload is asked, unless the probe says another place. */
const LOCALHOST = 'localhost'
const GRPC_METHOD = '/grpc.health.v1.Health/Check'
const USER_AGENT = 'seine-probe'

/** What a machine's owner lets probes do. */
export interface ProbePermissions {
  /** Run programs on the machine. */
  readonly exec: boolean
}

/**
 * Asks a workload once whether it can take requests, as its WorkloadGroup's probe says.
 *
 * @returns why not, or undefined when it can.
 */
export async function probeOnce(
  probe: ReadinessProbe,
  { exec: mayExec }: ProbePermissions,
): Promise<string | undefined> {
  const timeoutMs = (probe.timeoutSeconds || 1) * 1000
  const { httpGet, tcpSocket, exec, grpc } = probe
  try {
    if (httpGet) return await askHttp(httpGet, timeoutMs)
    if (tcpSocket) return await askTcp(tcpSocket.host || LOCALHOST, tcpSocket.port, timeoutMs)
    if (grpc) return await askGrpc(grpc.port ?? 0, grpc.service ?? '', timeoutMs)
    if (!exec) return 'the probe does not say what to ask'
    if (!mayExec)
      return 'the probe runs a program, which this machine does not allow: set ALLOW_EXEC_PROBES=true for its agent'
    return await run(exec.command, timeoutMs)
  } catch (failure) {
    return errorMessage(failure)
  }
}

function askHttp(
  { path, port, host, scheme, httpHeaders = [] }: NonNullable<ReadinessProbe['httpGet']>,
  timeoutMs: number,
): Promise<string | undefined> {
  const headers: Record<string, string[]> = { 'user-agent': [USER_AGENT] }
  for (const { name = '', value = '' } of httpHeaders) {
    const key = name.toLowerCase()
    if (key === '') continue
    headers[key] = key === 'user-agent' || key === 'host' ? [value] : [...(headers[key] ?? []), value]
  }
  const { host: named, ...others } = headers
  const options = {
    host: host || LOCALHOST,
    port,
    path: path ? (path.startsWith('/') ? path : `/${path}`) : '/',
    headers: { ...others, ...(named ? { host: named[0] } : {}) },
    agent: false as const,
    // Whoever asks is on the same machine, and asks whether there is an answer, not who gives it.
    rejectUnauthorized: false,
  }
  return new Promise((resolve, reject) => {
    const request = scheme === 'HTTPS' ? httpsRequest(options) : httpRequest(options)
    const timer = setTimeout(() => request.destroy(timedOut(timeoutMs)), timeoutMs)
    request.on('close', () => clearTimeout(timer))
    request.on('error', reject)
    request.on('response', response => {
      const status = response.statusCode ?? 0
      resolve(status >= 200 && status < 400 ? undefined : `the answer was ${status}`)
      response.destroy()
    })
    request.end()
  })
}

function askTcp(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    const timer = setTimeout(() => socket.destroy(timedOut(timeoutMs)), timeoutMs)
    socket.on('close', () => clearTimeout(timer))
    socket.on('error', reject)
    socket.on('connect', () => {
      resolve(undefined)
      socket.destroy()
    })
  })
}

function run([program = '', ...args]: readonly string[], timeoutMs: number): Promise<string | undefined> {
  return new Promise(resolve => {
    execFile(program, args, { timeout: timeoutMs, killSignal: 'SIGKILL' }, failure => {
      if (!failure) resolve(undefined)
      else if (failure.killed) resolve(timedOut(timeoutMs).message)
      else if (typeof failure.code === 'number') resolve(`${program} ended with ${failure.code}`)
      else resolve(failure.message)
    })
  })
}

/** The words of `grpc.health.v1.HealthCheckResponse.ServingStatus`. */
const SERVING_STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const

/** The two messages of `grpc.health.v1` have one field each, with the number 1. */
async function askGrpc(port: number, service: string, timeoutMs: number): Promise<string | undefined> {
  const client = new Client(`${LOCALHOST}:${port}`, credentials.createInsecure())
  try {
    const status = await new Promise<number>((resolve, reject) =>
      client.makeUnaryRequest(
        GRPC_METHOD,
        healthCheckRequest,
        servingStatus,
        service,
        { deadline: Date.now() + timeoutMs },
        (failure, answer) => (failure ? reject(new Error(failure.details)) : resolve(answer ?? 0)),
      ),
    )
    const word = SERVING_STATUS[status] ?? String(status)
    return word === 'SERVING' ? undefined : `the answer was ${word}`
  } finally {
    client.close()
  }
}

/** `HealthCheckRequest { string service = 1; }` in protobuf's encoding. */
function healthCheckRequest(service: string): Buffer {
  const text = Buffer.from(service)
  if (text.length === 0) return text
  const length: number[] = []
  for (let left = text.length; ; left >>>= 7) {
    length.push(left > 0x7f ? (left & 0x7f) | 0x80 : left)
    if (left <= 0x7f) break
  }
  return Buffer.concat([Buffer.from([0x0a, ...length]), text])
}

/** `HealthCheckResponse { ServingStatus status = 1; }`: what is left out is 0, `UNKNOWN`. */
function servingStatus(bytes: Buffer): number {
  return bytes[0] === 0x08 ? (bytes[1] ?? 0) : 0
}

function timedOut(timeoutMs: number): Error {
  return new Error(`no answer within ${timeoutMs / 1000} s`)
}
