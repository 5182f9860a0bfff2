import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { Resolver as NodeResolver } from 'node:dns/promises'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeClock, silentLogger } from '@seine/kit'
import { type DecodedPacket, decode as decodePacket, encode, type Packet, type Question } from 'dns-packet'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { framed, readResolvers, unframed } from './dns-forward.ts'
import { DnsServer } from './dns-server.ts'

/** The package's types lack the code that a decoded answer has. */
type Answer = DecodedPacket & { readonly rcode: string }

function decode(message: Buffer): Answer {
  return decodePacket(message) as Answer
}

const NAMES = new Map([
  ['reviews.default.svc.cluster.local', ['10.96.0.7']],
  ['reviews.default', ['10.96.0.7']],
  ['reviews', ['10.96.0.7']],
  ['dual.default.svc.cluster.local', ['10.96.0.8', 'fd00::8']],
  ['wide.default.svc.cluster.local', Array.from({ length: 300 }, (_, at) => `10.1.${at >> 8}.${at & 255}`)],
])

const hasIpv6 = Object.values(networkInterfaces()).some(all => all?.some(({ address }) => address === '::1'))

let clock: FakeClock
let server: DnsServer
let port: number
let elsewhere: OtherResolver

/** A resolver of the world outside the mesh, over UDP and TCP. */
class OtherResolver {
  readonly asked: string[] = []
  isSilent = false
  port = 0
  #udp: UdpSocket | undefined
  #tcp: Server | undefined

  async start(): Promise<void> {
    const tcp = createServer(socket => {
      socket.on('error', () => {})
      socket.on('data', (chunk: Buffer) => {
        for (const message of unframed(chunk).messages) {
          this.asked.push(`tcp ${decode(message).questions?.[0]?.name}`)
          if (!this.isSilent) socket.write(framed(this.#answer(message)))
        }
      })
    })
    this.#tcp = tcp
    await new Promise<void>(resolve => tcp.listen(0, '127.0.0.1', resolve))
    this.port = (tcp.address() as AddressInfo).port
    const udp = createSocket('udp4')
    this.#udp = udp
    await new Promise<void>(resolve => udp.bind(this.port, '127.0.0.1', resolve))
    udp.on('message', (message, from) => {
      this.asked.push(`udp ${decode(message).questions?.[0]?.name}`)
      if (this.isSilent) return
      const answer = this.#answer(message)
      const forged = Buffer.from(answer)
      forged.writeUInt16BE((forged.readUInt16BE(0) + 1) & 0xffff, 0)
      forged[forged.length - 1] = 66
      udp.send(forged, from.port)
      udp.send(answer, from.port)
    })
  }

  #answer(message: Buffer): Buffer {
    const { id = 0, questions = [] } = decode(message)
    const name = questions[0]?.name ?? ''
    return encode({
      type: 'response',
      id,
      questions,
      ...(name.startsWith('missing')
        ? { flags: 3 }
        : { answers: [{ type: 'A' as const, name, ttl: 60, data: '192.0.2.1' }] }),
    })
  }

  close(): void {
    this.#udp?.close()
    this.#tcp?.close()
  }
}

beforeEach(async () => {
  clock = new FakeClock()
  elsewhere = new OtherResolver()
  await elsewhere.start()
  await start([{ address: '127.0.0.1', port: elsewhere.port }])
})

afterEach(async () => {
  await server.close()
  elsewhere.close()
})

async function start(resolvers: { address: string; port: number }[]): Promise<void> {
  server = new DnsServer({
    port: 0,
    ipv6: hasIpv6,
    lookUp: name => NAMES.get(name.toLowerCase()),
    resolvers,
    clock,
    logger: silentLogger,
  })
  port = await server.start()
}

/** The resolver that programs use. */
function resolver(): NodeResolver {
  const made = new NodeResolver({ timeout: 20_000, tries: 1 })
  made.setServers([`127.0.0.1:${port}`])
  return made
}

function query(question: Question, more: Partial<Packet> = {}): Buffer {
  return encode({ type: 'query', id: 4711, flags: 1 << 8, questions: [question], ...more })
}

/** Sends bytes over UDP. @returns the answer. */
async function overUdp(message: Buffer): Promise<Answer> {
  const socket = createSocket('udp4')
  try {
    const answer = new Promise<Buffer>(resolve => socket.once('message', resolve))
    socket.send(message, port, '127.0.0.1')
    return decode(await answer)
  } finally {
    socket.close()
  }
}

/** Sends chunks over one TCP connection. @returns as many answers as are expected, or those until it is closed. */
function overTcp(chunks: readonly Buffer[], expected: number): Promise<Answer[]> {
  return new Promise((resolve, reject) => {
    let held = Buffer.alloc(0)
    const socket = connect(port, '127.0.0.1', () => {
      for (const chunk of chunks) socket.write(chunk)
    })
    const answers = () => unframed(held).messages.map(message => decode(message))
    socket.on('data', chunk => {
      held = Buffer.concat([held, chunk as Buffer])
      if (answers().length >= expected) socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answers()))
  })
}

const EDNS = (udpPayloadSize: number): Partial<Packet> => ({
  additionals: [
    {
      type: 'OPT',
      name: '.',
      udpPayloadSize,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [],
    },
  ],
})

describe('names of the mesh', () => {
  it.each([
    'reviews.default.svc.cluster.local',
    'reviews.default',
    'reviews',
    'Reviews.Default.SVC.cluster.local',
  ])('resolve: %s', async name => {
    expect(await resolver().resolve4(name)).toEqual(['10.96.0.7'])
  })

  it('have no address of another kind, which is no error', async () => {
    const answer = await overUdp(query({ type: 'AAAA', name: 'reviews.default.svc.cluster.local' }))
    expect([answer.rcode, answer.answers]).toEqual(['NOERROR', []])
    await expect(resolver().resolve6('reviews')).rejects.toMatchObject({ code: 'ENODATA' })
    expect(await resolver().resolve6('dual.default.svc.cluster.local')).toEqual(['fd00::8'])
    expect(await resolver().resolve4('dual.default.svc.cluster.local')).toEqual(['10.96.0.8'])
  })

  it.each([
    'MX',
    'TXT',
    'SRV',
    'NS',
    'ANY',
    'UNKNOWN_65',
  ])('answer a question for %s with nothing', async type => {
    const answer = await overUdp(query({ type: type as 'MX', name: 'reviews' }))
    expect([answer.rcode, answer.answers, answer.questions]).toMatchObject([
      'NOERROR',
      [],
      [{ name: 'reviews', type }],
    ])
  })

  it('fail at once when they are not there, whatever the resolvers outside would say', async () => {
    for (const name of [
      'nothing.default.svc.cluster.local',
      'reviews.default.svc.cluster.local.default.svc.cluster.local',
      'example.com.svc.cluster.local',
      'CLUSTER.local',
    ])
      await expect(resolver().resolve4(name)).rejects.toMatchObject({ code: 'ENOTFOUND' })
    expect(elsewhere.asked).toEqual([])
  })

  it('resolve by the search list of a pod', async () => {
    const search = ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local']
    const found = async (name: string) => {
      for (const suffix of search) {
        const addresses = await resolver()
          .resolve4(`${name}.${suffix}`)
          .catch(() => undefined)
        if (addresses) return addresses
      }
      return resolver().resolve4(name)
    }
    expect(await found('reviews')).toEqual(['10.96.0.7'])
    expect(await found('reviews.default')).toEqual(['10.96.0.7'])
    expect(await found('example.com')).toEqual(['192.0.2.1'])
  })

  it('come with the id, the question and the flags that a stub resolver checks', async () => {
    const answer = await overUdp(query({ type: 'A', name: 'reviews' }))
    expect(answer).toMatchObject({
      id: 4711,
      type: 'response',
      flag_aa: true,
      flag_rd: true,
      flag_ra: true,
      flag_tc: false,
      questions: [{ type: 'A', name: 'reviews', class: 'IN' }],
      answers: [{ type: 'A', name: 'reviews', data: '10.96.0.7', ttl: 5 }],
      additionals: [],
    })
  })
})

describe('answers that are too large for UDP', () => {
  const wide: Question = { type: 'A', name: 'wide.default.svc.cluster.local' }

  it('are cut and say so', async () => {
    const answer = await overUdp(query(wide))
    expect(answer.flag_tc).toBe(true)
    expect(answer.answers?.length).toBeGreaterThan(0)
    expect(encode(answer).length).toBeLessThanOrEqual(512)
  })

  it('may be as large as the client says, within reason', async () => {
    const more = await overUdp(query(wide, EDNS(1232)))
    const most = await overUdp(query(wide, EDNS(60_000)))
    expect(more.answers?.length).toBeGreaterThan((await overUdp(query(wide))).answers?.length ?? 0)
    expect(encode(more).length).toBeLessThanOrEqual(1232)
    expect(encode(most).length).toBeLessThanOrEqual(4096)
    expect(more.additionals).toMatchObject([{ type: 'OPT' }])
  })

  it('are whole over TCP, which resolvers then ask', async () => {
    const [answer] = await overTcp([framed(query(wide))], 1)
    expect([answer?.flag_tc, answer?.answers?.length]).toEqual([false, 300])
    expect((await resolver().resolve4(wide.name)).length).toBe(300)
  })
})

describe('other names', () => {
  it('are asked for outside, over the transport that the client used', async () => {
    expect(await resolver().resolve4('example.com')).toEqual(['192.0.2.1'])
    const [answer] = await overTcp([framed(query({ type: 'A', name: 'example.org' }))], 1)
    expect(answer?.answers).toMatchObject([{ data: '192.0.2.1' }])
    expect(elsewhere.asked).toEqual(['udp example.com', 'tcp example.org'])
    await expect(resolver().resolve4('missing.example')).rejects.toMatchObject({ code: 'ENOTFOUND' })
  })

  it('are asked of the next resolver when one does not answer in time', async () => {
    const second = new OtherResolver()
    await second.start()
    try {
      elsewhere.isSilent = true
      await server.close()
      await start([
        { address: '127.0.0.1', port: elsewhere.port },
        { address: '127.0.0.1', port: second.port },
      ])
      for (const ask of [
        () => overUdp(query({ type: 'A', name: 'example.com' })),
        async () => (await overTcp([framed(query({ type: 'A', name: 'example.com' }))], 1))[0],
      ]) {
        const before = elsewhere.asked.length
        const answer = ask()
        await vi.waitFor(() => expect(elsewhere.asked.length).toBe(before + 1), {
          interval: 2,
          timeout: 20_000,
        })
        clock.advance(3000)
        expect((await answer)?.answers).toMatchObject([{ data: '192.0.2.1' }])
      }
    } finally {
      second.close()
    }
  })

  it('fail when no resolver answers, or none is known', async () => {
    elsewhere.isSilent = true
    const answer = overUdp(query({ type: 'A', name: 'example.com' }))
    await vi.waitFor(() => expect(elsewhere.asked.length).toBe(1), { interval: 2, timeout: 20_000 })
    clock.advance(3000)
    expect((await answer).rcode).toBe('SERVFAIL')
    await server.close()
    await start([])
    expect((await overUdp(query({ type: 'A', name: 'example.com' }))).rcode).toBe('NXDOMAIN')
  })

  it('are refused while very many wait for answers, and names of the mesh are not', async () => {
    elsewhere.isSilent = true
    const socket = createSocket('udp4')
    try {
      const refused = new Promise<Buffer>(resolve => socket.once('message', resolve))
      // Some may be lost on the way: it is asked until one is refused.
      const flood = setInterval(() => {
        for (let at = 0; at < 50; at++)
          socket.send(query({ type: 'A', name: 'example.com' }), port, '127.0.0.1')
      }, 5)
      const answer = decode(await refused.finally(() => clearInterval(flood)))
      expect(answer.rcode).toBe('SERVFAIL')
      expect(clock.pending.length).toBe(512)
      expect(await resolver().resolve4('reviews')).toEqual(['10.96.0.7'])
      clock.advance(3000)
      elsewhere.isSilent = false
      await vi.waitFor(
        async () =>
          expect((await overUdp(query({ type: 'A', name: 'example.com' }))).answers).toMatchObject([
            { data: '192.0.2.1' },
          ]),
        { interval: 10, timeout: 20_000 },
      )
    } finally {
      socket.close()
    }
  })
})

describe('what is no query', () => {
  it('costs nothing when it claims to hold very much', async () => {
    const claims = Buffer.from('0001010000000000ffffffff0367640000', 'hex')
    expect((await overUdp(claims)).rcode).toBe('FORMERR')
    const two: Question[] = [
      { type: 'A', name: 'reviews' },
      { type: 'AAAA', name: 'reviews' },
    ]
    expect((await overUdp(encode({ type: 'query', id: 1, questions: two }))).rcode).toBe('FORMERR')
  })

  it('is survived', async () => {
    const socket = createSocket('udp4')
    try {
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 80 }), async bytes => {
          await new Promise(resolve => socket.send(bytes, port, '127.0.0.1', resolve))
          // The server is in this process: it needs its turn, or datagrams are lost.
          await new Promise(setImmediate)
        }),
        { numRuns: 300 },
      )
    } finally {
      socket.close()
    }
    expect(await resolver().resolve4('reviews')).toEqual(['10.96.0.7'])
  })

  it('ends the connection that it came over, and only that', async () => {
    const garbage = framed(Buffer.from('hello'))
    const good = framed(query({ type: 'A', name: 'reviews' }))
    expect((await overTcp([good, garbage, good], 2)).length).toBe(1)
    expect((await overTcp([good], 1)).length).toBe(1)
  })

  it('is told so where it can be', async () => {
    const noQuestion = encode({ type: 'query', id: 1, questions: [] })
    const notify = encode({
      type: 'query',
      id: 1,
      flags: 4 << 11,
      questions: [{ type: 'A', name: 'reviews' }],
    })
    expect((await overUdp(noQuestion)).rcode).toBe('FORMERR')
    expect((await overUdp(notify)).rcode).toBe('NOTIMP')
  })
})

describe('TCP', () => {
  it('takes several queries at once, in pieces', async () => {
    const bytes = Buffer.concat([
      framed(query({ type: 'A', name: 'reviews' }, { id: 1 })),
      framed(query({ type: 'AAAA', name: 'reviews' }, { id: 2 })),
      framed(query({ type: 'A', name: 'example.com' }, { id: 3 })),
    ])
    const answers = await overTcp([bytes.subarray(0, 1), bytes.subarray(1, 40), bytes.subarray(40)], 3)
    expect(answers.map(({ id, answers: found }) => [id, found?.length])).toEqual([
      [1, 1],
      [2, 0],
      [3, 1],
    ])
  })

  it('does not keep the server from closing', async () => {
    const socket = connect(port, '127.0.0.1')
    await new Promise(resolve => socket.once('connect', resolve))
    const closed = new Promise(resolve => socket.once('close', resolve))
    await server.close()
    await closed
  })
})

it('answers on the loopback address of IPv6 as well, over UDP and TCP', async ({ skip }) => {
  skip(!hasIpv6, 'this machine has no IPv6')
  const message = query({ type: 'AAAA', name: 'dual.default.svc.cluster.local' })
  const socket = createSocket('udp6')
  const answer = new Promise<Buffer>(resolve => socket.once('message', resolve))
  socket.send(message, port, '::1')
  expect(decode(await answer).answers).toMatchObject([{ type: 'AAAA', data: 'fd00::8' }])
  socket.close()
  const tcp = connect(port, '::1', () => tcp.write(framed(message)))
  const chunk = await new Promise<Buffer>(resolve => tcp.once('data', resolve))
  expect(unframed(chunk).messages.map(one => decode(one).answers)).toMatchObject([[{ data: 'fd00::8' }]])
  tcp.destroy()
})

it('rejects when the port is taken', async () => {
  const other = new DnsServer({
    port,
    ipv6: false,
    lookUp: () => undefined,
    resolvers: [],
    clock,
    logger: silentLogger,
  })
  await expect(other.start()).rejects.toThrow(`can't listen on port ${port}: it is taken`)
  await other.close()
})

describe('readResolvers', () => {
  it('reads the addresses of resolv.conf, without those on loopback, where the agent itself is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'seine-dns-'))
    try {
      const file = join(folder, 'resolv.conf')
      await writeFile(
        file,
        '# comment\nsearch a b\nnameserver 10.0.0.2\n nameserver\t2001:db8::1\nnameserver 127.0.0.53\nnameserver ::1\n#nameserver 10.0.0.9\n',
      )
      expect(await readResolvers(file)).toEqual([
        { address: '10.0.0.2', port: 53 },
        { address: '2001:db8::1', port: 53 },
      ])
      expect(await readResolvers(join(folder, 'missing'))).toEqual([])
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
