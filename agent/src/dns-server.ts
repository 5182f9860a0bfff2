import { createSocket, type Socket } from 'node:dgram'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { errorMessage, type Logger } from '@seine/kit'
import { decode, encode, type Packet, type Question, streamDecode, streamEncode } from 'dns-packet'

const TTL_S = 5
const FORWARD_TIMEOUT_MS = 3000
const RCODE = { formatError: 1, serverFailure: 2, nameError: 3 } as const

/** What the server answers from. */
export interface DnsOptions {
  readonly port: number
  lookUp(name: string): readonly string[] | undefined
  /** Addresses of resolvers for names that the mesh does not have. */
  readonly upstreams: readonly string[]
  readonly logger: Logger
}

/** Answers the application's look-ups on loopback, over UDP and TCP: names of the mesh itself, others by asking on. */
export class DnsServer {
  readonly #options: DnsOptions
  #udp: Socket | undefined
  #tcp: Server | undefined

  constructor(options: DnsOptions) {
    this.#options = options
  }

  /** Resolves when both sockets listen; rejects when the port is taken. */
  async start(): Promise<void> {
    const udp = createSocket('udp4')
    udp.on('message', (message, from) => {
      void this.#answer(message).then(answer => answer && udp.send(answer, from.port, from.address))
    })
    this.#udp = udp
    await new Promise<void>((resolve, reject) => {
      udp.once('error', reject)
      udp.bind(this.#options.port, '127.0.0.1', resolve)
    })
    const tcp = createServer(socket => {
      let held = Buffer.alloc(0)
      socket.setTimeout(10_000, () => socket.destroy())
      socket.on('error', () => socket.destroy())
      socket.on('data', (chunk: Buffer) => {
        held = Buffer.concat([held, chunk])
        if (held.length < 2 || held.length < held.readUInt16BE(0) + 2) return
        const query = streamDecode(held)
        held = Buffer.alloc(0)
        if (query)
          void this.#answer(encode(query)).then(
            answer => answer && socket.write(streamEncode(decode(answer))),
          )
      })
    })
    this.#tcp = tcp
    await new Promise<void>((resolve, reject) => {
      tcp.once('error', reject)
      tcp.listen(this.#options.port, '127.0.0.1', resolve)
    })
  }

  async close(): Promise<void> {
    this.#udp?.close()
    await new Promise(resolve => (this.#tcp ? this.#tcp.close(resolve) : resolve(undefined)))
  }

  async #answer(message: Buffer): Promise<Buffer | undefined> {
    let query: Packet
    try {
      query = decode(message)
    } catch {
      return undefined
    }
    const question = query.questions?.[0]
    if (!question) return respond(query, [], RCODE.formatError)
    const known = this.#options.lookUp(question.name)
    if (known) return respond(query, records(question, known), 0)
    // The mesh knows all names of its own domain. Search lists ask for many that are not there: they must fail at once.
    if (isOfCluster(question.name)) return respond(query, [], RCODE.nameError)
    return this.#forward(message, query)
  }

  async #forward(message: Buffer, query: Packet): Promise<Buffer> {
    for (const upstream of this.#options.upstreams) {
      try {
        return await ask(message, upstream)
      } catch (failure) {
        this.#options.logger.debug(
          { upstream, name: query.questions?.[0]?.name, reason: errorMessage(failure) },
          'resolver did not answer',
        )
      }
    }
    return respond(query, [], this.#options.upstreams.length > 0 ? RCODE.serverFailure : RCODE.nameError)
  }
}

function isOfCluster(name: string): boolean {
  return /(^|\.)cluster\.local\.?$/i.test(name)
}

function records(question: Question, addresses: readonly string[]) {
  const wanted = addresses.filter(address =>
    question.type === 'AAAA' ? address.includes(':') : question.type === 'A' && !address.includes(':'),
  )
  return wanted.map(data => ({ type: question.type as 'A' | 'AAAA', name: question.name, ttl: TTL_S, data }))
}

function respond(query: Packet, answers: ReturnType<typeof records>, rcode: number): Buffer {
  const AUTHORITATIVE = 1 << 10
  const RECURSION = (1 << 8) | (1 << 7)
  return encode({
    type: 'response',
    id: query.id ?? 0,
    flags: AUTHORITATIVE | RECURSION | rcode,
    questions: query.questions ?? [],
    answers,
  })
}

/** Asks one resolver over UDP. */
function ask(message: Buffer, upstream: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(upstream.includes(':') ? 'udp6' : 'udp4')
    const timer = setTimeout(() => finish(() => reject(new Error('timed out'))), FORWARD_TIMEOUT_MS)
    const finish = (then: () => void) => {
      clearTimeout(timer)
      socket.close()
      then()
    }
    socket.once('error', failure => finish(() => reject(failure)))
    socket.once('message', answer => finish(() => resolve(answer)))
    socket.send(message, 53, upstream)
  })
}

/** The resolvers that a `resolv.conf` names; none when there is no such file. */
export async function readResolvers(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((failure: NodeJS.ErrnoException) => {
    if (failure.code === 'ENOENT') return ''
    throw failure
  })
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(([, address]) =>
    address && !address.startsWith('127.') ? [address] : [],
  )
}
