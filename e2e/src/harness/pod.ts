import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parsePrometheus, type Sample, sumOf } from '@seine/testing'
import type {
  Call,
  Echo,
  GrpcCall,
  Http2Call,
  HttpCall,
  LookupCall,
  Misbehaviour,
  Outcome,
  TcpCall,
  TlsCall,
  UpgradeCall,
} from '../apps/protocol.ts'
import { PeerPort } from '../apps/protocol.ts'
import { type Ran, run } from './command.ts'
import { getJson, getText, postJson } from './http.ts'
import type { HubWorkload } from './hub.ts'

const METRICS_PORT = 15020
const ADMIN_PORT = 15000

/** An HTTP answer of an echo server, with its body read. */
export interface Answer extends Outcome {
  /** Absent where something else than the echo server answered. */
  readonly echo?: Echo
}

type Options<T extends Call> = Omit<T, 'kind'>

/** A running pod, as a test sees it: it can make it call, and look at what it did. */
export class Pod {
  readonly workload: string
  readonly name: string
  readonly namespace: string
  readonly ip: string
  readonly #logFolder: string

  constructor({ name, pod, namespace, address }: HubWorkload, stateFolder: string) {
    this.workload = name
    this.name = pod
    this.namespace = namespace
    this.ip = address
    this.#logFolder = join(stateFolder, 'logs', pod)
  }

  /** The name of its network namespace. */
  get netns(): string {
    return `seine-${this.name}`
  }

  /** Has the pod make HTTP requests. `count` answers come back, failed ones too. */
  async http(url: string, options: Partial<Options<HttpCall>> = {}): Promise<readonly Answer[]> {
    const outcomes = await this.#call({ kind: 'http', url, ...options })
    return outcomes.map(withEcho)
  }

  /** Has the pod make one HTTP request. */
  async get(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return only(await this.http(url, { headers }))
  }

  /** Has the pod make HTTP/2 requests in plaintext. */
  async http2(url: string, options: Partial<Options<Http2Call>> = {}): Promise<readonly Outcome[]> {
    return this.#call({ kind: 'http2', url, ...options })
  }

  async grpc(options: Options<GrpcCall>): Promise<readonly Outcome[]> {
    return this.#call({ kind: 'grpc', ...options })
  }

  async upgrade(options: Options<UpgradeCall>): Promise<readonly Outcome[]> {
    return this.#call({ kind: 'upgrade', ...options })
  }

  /** Has the pod open TCP connections; each sends a line and waits for one. */
  async tcp(
    host: string,
    port: number,
    options: Partial<Options<TcpCall>> = {},
  ): Promise<readonly Outcome[]> {
    return this.#call({ kind: 'tcp', host, port, line: 'hello', ...options })
  }

  async tls(options: Options<TlsCall>): Promise<readonly Outcome[]> {
    return this.#call({ kind: 'tls', ...options })
  }

  /** The addresses the pod's resolver gives for a name, or the resolver's error. */
  async lookup(name: string): Promise<Outcome> {
    const options: LookupCall = { kind: 'lookup', name }
    return only(await this.#call(options))
  }

  /** How many requests with this id have reached the pod's program. */
  seen(id: string): Promise<number> {
    return getJson(`${this.#control}/seen/${encodeURIComponent(id)}`)
  }

  /** Makes the pod's program fail or be slow towards everyone; `{}` heals it. */
  async misbehave(how: Misbehaviour): Promise<void> {
    await postJson(`${this.#control}/misbehave`, how)
  }

  /** Has the pod's program serve TLS of its own on {@link PeerPort.tls}. */
  async serveTls(key: string, cert: string): Promise<void> {
    await postJson(`${this.#control}/tls`, { key, cert })
  }

  /** The merged metrics of Envoy and agent, as Prometheus would scrape them. */
  async metrics(): Promise<readonly Sample[]> {
    return parsePrometheus(await getText(`http://${this.ip}:${METRICS_PORT}/stats/prometheus`))
  }

  /** The sum of a metric's samples that have these labels. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    return sumOf(await this.metrics(), name, labels)
  }

  /** Asks Envoy's admin port, from inside the pod, as a person debugging it would. */
  async admin(path: string): Promise<string> {
    return (await this.get(`http://127.0.0.1:${ADMIN_PORT}${path}`)).body
  }

  /** Lines of a container's log; the sidecar's are access logs and messages. */
  async log(container: 'seine-proxy' | 'peer'): Promise<readonly string[]> {
    return (await readFile(join(this.#logFolder, `${container}.log`), 'utf8')).split('\n').filter(Boolean)
  }

  /** Runs a program of the host inside the pod's network namespace. */
  exec(command: readonly string[], input = ''): Promise<Ran> {
    return run(['ip', 'netns', 'exec', this.netns, ...command], input)
  }

  get #control(): string {
    return `http://${this.ip}:${PeerPort.control}`
  }

  #call(call: Call): Promise<readonly Outcome[]> {
    return postJson(`${this.#control}/call`, call)
  }
}

function withEcho(outcome: Outcome): Answer {
  if (!outcome.body.startsWith('{"app"')) return outcome
  return { ...outcome, echo: JSON.parse(outcome.body) as Echo }
}

function only<T>(list: readonly T[]): T {
  const [first] = list
  if (first === undefined || list.length !== 1) throw new Error(`one answer expected, ${list.length} came`)
  return first
}
