import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type Clock, errorMessage, type Logger } from '@seine/kit'
import { decode, type Packet } from 'dns-packet'
import { answerTo, RCODE, sizeLimit } from './dns-answers.ts'
import { forward, framed, type Resolver, unframed } from './dns-forward.ts'
import { listenFailure } from './listen-failure.ts'

const TCP_IDLE_MS = 10_000
/** Bounds of what an application that asks without end can take of the sidecar. */
const MAX_TCP_CONNECTIONS = 128
const MAX_FORWARDED = 512
const HEADER_BYTES = 12

/** What the server answers from. */
export interface DnsOptions {
  /** 0 for any. */
  readonly port: number
  /** Whether to answer on `::1` too. */
  readonly ipv6: boolean
  lookUp(name: string): readonly string[] | undefined
  /** Asked in order for names that the mesh does not have. */
  readonly resolvers: readonly Resolver[]
  readonly clock: Clock
  readonly logger: Logger
}

/** Answers the application's look-ups on loopback, over UDP and TCP: names of the mesh itself, others by asking on. */
export class DnsServer {
  readonly #options: DnsOptions
  readonly #connections = new Set<Socket>()
  readonly #udp: UdpSocket[] = []
  readonly #tcp: Server[] = []
  #forwarded = 0
  #isRefusing = false

  constructor(options: DnsOptions) {
    this.#options = options
  }

  /** Resolves with the port when all sockets listen; rejects when it is taken. */
  async start(): Promise<number> {
    const port = await this.#listen(this.#options.port, '127.0.0.1')
    // Look-ups that are captured on IPv6 come to its own loopback address.
    if (this.#options.ipv6) await this.#listen(port, '::1')
    return port
  }

  async close(): Promise<void> {
    for (const socket of this.#udp.splice(0)) socket.close()
    for (const socket of this.#connections) socket.destroy()
    await Promise.all(this.#tcp.map(server => new Promise(resolve => server.close(resolve))))
  }

  async #listen(wanted: number, address: '127.0.0.1' | '::1'): Promise<number> {
    const { logger } = this.#options
    const tcp = createServer(socket => void this.#serve(socket))
    tcp.maxConnections = MAX_TCP_CONNECTIONS
    this.#tcp.push(tcp)
    await new Promise<void>((resolve, reject) => {
      tcp.once('error', failure => reject(listenFailure(wanted, failure)))
      tcp.listen(wanted, address, resolve)
    })
    const { port } = tcp.address() as AddressInfo
    const udp = createSocket(address === '::1' ? 'udp6' : 'udp4')
    this.#udp.push(udp)
    await new Promise<void>((resolve, reject) => {
      udp.once('error', failure => reject(listenFailure(port, failure)))
      udp.bind(port, address, resolve)
    })
    for (const socket of [tcp, udp])
      socket.removeAllListeners('error').on('error', failure => logger.warn({ err: failure }, 'dns socket'))
    udp.on('message', (message, from) => {
      void this.#answer(message, 'udp').then(answer => {
        if (answer && this.#udp.includes(udp)) udp.send(answer, from.port, from.address)
      })
    })
    return port
  }

  /** One connection's queries, one after the other. */
  async #serve(socket: Socket): Promise<void> {
    this.#connections.add(socket)
    socket.setTimeout(TCP_IDLE_MS, () => socket.destroy())
    try {
      let held = Buffer.alloc(0)
      for await (const chunk of socket) {
        const { messages, rest } = unframed(Buffer.concat([held, chunk as Buffer]))
        held = Buffer.from(rest)
        for (const message of messages) {
          const answer = await this.#answer(message, 'tcp')
          if (!answer) return
          socket.write(framed(answer))
        }
      }
    } catch (failure) {
      this.#options.logger.debug({ reason: errorMessage(failure) }, 'dns connection ended')
    } finally {
      this.#connections.delete(socket)
      socket.destroy()
    }
  }

  /** The answer to a message; undefined when it is no query. Does not reject. */
  async #answer(message: Buffer, transport: 'udp' | 'tcp'): Promise<Buffer | undefined> {
    try {
      const header = readHeader(message)
      if (!header || header.isResponse) return undefined
      if (header.opcode !== 0) return answerTo({ id: header.id }, [], RCODE.notImplemented)
      if (!header.isPlain) return answerTo({ id: header.id }, [], RCODE.formatError)
      const query = decode(message)
      const [question] = query.questions ?? []
      if (!question) return undefined
      const known = this.#options.lookUp(question.name)
      if (known) return answerTo(query, known, RCODE.ok, sizeLimit(query, transport))
      // The mesh knows all names of its own domain. Search lists ask for many that are not there: they must fail at once.
      if (isOfCluster(question.name)) return answerTo(query, [], RCODE.nameError)
      return await this.#forward(message, query, transport)
    } catch (failure) {
      this.#options.logger.debug({ reason: errorMessage(failure) }, 'dns message that can not be read')
      return undefined
    }
  }

  async #forward(message: Buffer, query: Packet, transport: 'udp' | 'tcp'): Promise<Buffer> {
    const { resolvers, clock, logger } = this.#options
    if (resolvers.length === 0) return answerTo(query, [], RCODE.nameError)
    if (this.#forwarded >= MAX_FORWARDED) {
      if (!this.#isRefusing)
        logger.warn({ waiting: this.#forwarded }, 'look-ups are refused: too many wait for resolvers')
      this.#isRefusing = true
      return answerTo(query, [], RCODE.serverFailure)
    }
    this.#isRefusing = false
    this.#forwarded++
    try {
      for (const resolver of resolvers) {
        try {
          return await forward(message, resolver, transport, clock)
        } catch (failure) {
          const name = query.questions?.[0]?.name
          logger.debug({ resolver, name, reason: errorMessage(failure) }, 'resolver did not answer')
        }
      }
      return answerTo(query, [], RCODE.serverFailure)
    } finally {
      this.#forwarded--
    }
  }
}

/** What a message says of itself, read before the rest: one can claim to hold more than is worth looking for. */
function readHeader(message: Buffer) {
  if (message.length < HEADER_BYTES) return undefined
  const [id, flags, questions, answers, authorities, additionals] = [0, 2, 4, 6, 8, 10].map(at =>
    message.readUInt16BE(at),
  ) as [number, number, number, number, number, number]
  return {
    id,
    isResponse: flags >> 15 === 1,
    opcode: (flags >> 11) & 15,
    /** As a stub resolver asks: one question (RFC 9619), EDNS and perhaps a signature. */
    isPlain: questions === 1 && answers + authorities === 0 && additionals <= 2,
  }
}

function isOfCluster(name: string): boolean {
  return /(^|\.)cluster\.local\.?$/i.test(name)
}
