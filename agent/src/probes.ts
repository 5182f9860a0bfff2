import { execFile } from 'node:child_process'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import type { ReadinessProbe } from '@seine/api'
import { errorMessage } from '@seine/kit'

/** Where the workload is asked, unless the probe says another place. */
const LOCALHOST: ProbePlace = { host: 'localhost' }
const GRPC_METHOD = '/grpc.health.v1.Health/Check'
const USER_AGENT = 'seine-probe'

/** Where a workload is asked, and from where. */
export interface ProbePlace {
  readonly host: string
  /** The address that calls come from, where it matters: the capture rules let some pass. */
  readonly from?: string
}

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
  place = LOCALHOST,
): Promise<string | undefined> {
  const timeoutMs = (probe.timeoutSeconds || 1) * 1000
  const { httpGet, tcpSocket, exec, grpc } = probe
  try {
    if (httpGet) return await askHttp(httpGet, place, timeoutMs)
    if (tcpSocket)
      return await askTcp({ ...place, host: tcpSocket.host || place.host }, tcpSocket.port, timeoutMs)
    if (grpc) return await askGrpc(place, grpc.port ?? 0, grpc.service ?? '', timeoutMs)
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
  place: ProbePlace,
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
    host: host || place.host,
    ...(place.from === undefined ? {} : { localAddress: place.from }),
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

function askTcp({ host, from }: ProbePlace, port: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ...(from === undefined ? {} : { localAddress: from }) })
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

/** The two messages of `grpc.health.v1` have one field each, with the number 1. A message has its length before it. */
function askGrpc(
  { host, from }: ProbePlace,
  port: number,
  service: string,
  timeoutMs: number,
): Promise<string | undefined> {
  const address = host.includes(':') ? `[${host}]` : host
  const session = connectHttp2(`http://${address}:${port}`, {
    createConnection: () => connect({ host, port, ...(from === undefined ? {} : { localAddress: from }) }),
  })
  const asked = new Promise<string | undefined>((resolve, reject) => {
    const timer = setTimeout(() => session.destroy(timedOut(timeoutMs)), timeoutMs)
    session.on('close', () => clearTimeout(timer))
    session.on('error', reject)
    const stream = session.request({
      ':method': 'POST',
      ':path': GRPC_METHOD,
      'content-type': 'application/grpc',
      'user-agent': USER_AGENT,
      te: 'trailers',
    })
    const parts: Buffer[] = []
    // An answer without a message has what trailers say among its headers.
    let said: IncomingHttpHeaders = {}
    stream.on('response', headers => (said = headers))
    stream.on('trailers', trailers => (said = trailers))
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.on('error', reject)
    stream.on('end', () => {
      if (said['grpc-status'] !== '0')
        return reject(new Error(decodeURIComponent(String(said['grpc-message'] ?? 'the call failed'))))
      const status = servingStatus(Buffer.concat(parts).subarray(GRPC_PREFIX))
      const word = SERVING_STATUS[status] ?? String(status)
      resolve(word === 'SERVING' ? undefined : `the answer was ${word}`)
    })
    const message = healthCheckRequest(service)
    const prefix = Buffer.alloc(GRPC_PREFIX)
    prefix.writeUInt32BE(message.length, 1)
    stream.end(Buffer.concat([prefix, message]))
  })
  return asked.finally(() => session.destroy())
}

/** A byte that tells whether the message is compressed, and its length. */
const GRPC_PREFIX = 5

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
