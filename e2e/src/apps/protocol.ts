/** What the tests and the program in the pods say to each other. */

/** The ports on which every pod's program listens. */
export const PeerPort = {
  http: 8080,
  detected: 8082,
  tcp: 9000,
  tls: 9443,
  control: 9901,
  grpc: 50051,
} as const

/** Headers by which a caller tells the echo server what to do. Without any it answers 200 at once. */
export const Ask = {
  /** Groups requests: the server counts by it, and fails by it. */
  id: 'x-e2e-id',
  /** Answer with this status. */
  status: 'x-e2e-status',
  /** Fail the first so many requests of the id, with the status asked for, or 503. */
  failFirst: 'x-e2e-fail-first',
  /** Wait so many milliseconds before answering. */
  delay: 'x-e2e-delay-ms',
  /** Close the connection instead of answering: `1`. */
  close: 'x-e2e-close',
  /** URLs, separated by spaces: call the first, and have it call the rest. */
  forward: 'x-e2e-forward',
} as const

/** The body of the echo server's answer. */
export interface Echo {
  readonly app: string
  readonly version: string
  readonly pod: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** The names of headers as they were written. */
  readonly headerNames: readonly string[]
  readonly httpVersion: string
  readonly body: string
  /** Where the connection came from, as the program sees it. */
  readonly remoteAddress: string
  /** The next hop's answer, for a forwarded call. */
  readonly next?: { readonly status: number; readonly echo?: Echo }
}

/** Makes a program misbehave towards everyone, until it is told otherwise by `{}`. */
export interface Misbehaviour {
  readonly status?: number
  readonly delayMs?: number
}

/** How many calls, and how many of them at a time; 1 and 1 by default. */
interface Repeated {
  readonly count?: number
  readonly concurrency?: number
  /** Of each call; 15 s by default. */
  readonly timeoutMs?: number
}

/** HTTP/1.1 requests. */
export interface HttpCall extends Repeated {
  readonly kind: 'http'
  readonly url: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Keep connections and use them again; by default each request has one of its own. */
  readonly keepAlive?: boolean
}

/** Requests by HTTP/2 without TLS, all on one connection. */
export interface Http2Call extends Repeated {
  readonly kind: 'http2'
  readonly url: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Unary gRPC calls, all on one connection. The message is text. */
export interface GrpcCall extends Repeated {
  readonly kind: 'grpc'
  /** `http://echo:50051` */
  readonly url: string
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A WebSocket handshake and, on the upgraded connection, text that is to come back. */
export interface UpgradeCall extends Repeated {
  readonly kind: 'upgrade'
  readonly url: string
  readonly message: string
}

/** TCP connections on each of which one line is sent and one awaited. */
export interface TcpCall extends Repeated {
  readonly kind: 'tcp'
  readonly host: string
  readonly port: number
  readonly line: string
  /** How long a connection stays open after its answer; 0 by default. */
  readonly holdMs?: number
}

/** TLS connections, of the program's own and not the mesh's, on each of which one line is sent and one awaited. */
export interface TlsCall extends Repeated {
  readonly kind: 'tls'
  readonly host: string
  readonly port: number
  readonly serverName: string
  readonly line: string
}

/** Look-ups of a name through the pod's resolver. */
export interface LookupCall extends Repeated {
  readonly kind: 'lookup'
  readonly name: string
}

export type Call = HttpCall | Http2Call | GrpcCall | UpgradeCall | TcpCall | TlsCall | LookupCall

/** What came of one call. Without an answer, `error` says why. */
export interface Outcome {
  readonly error?: string
  /** Of HTTP answers; 0 where there was none. */
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The HTTP body, the gRPC message, the line that came back. */
  readonly body: string
  /** Of gRPC. */
  readonly trailers?: Readonly<Record<string, string>>
  /** Of look-ups. */
  readonly addresses?: readonly string[]
  /** Of TLS: the certificate's common name. */
  readonly peerName?: string
  readonly ms: number
}
