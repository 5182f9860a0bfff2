import { createSocket } from 'node:dgram'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Clock } from '@seine/kit'

const TIMEOUT_MS = 3000
const DNS_PORT = 53

/** A name server that is asked for what the mesh does not know. */
export interface Resolver {
  readonly address: string
  readonly port: number
}

/** The resolvers that a `resolv.conf` names, but those on loopback; none when there is no such file. */
export async function readResolvers(file: string): Promise<Resolver[]> {
  const text = await readFile(file, 'utf8').catch((failure: NodeJS.ErrnoException) => {
    if (failure.code === 'ENOENT') return ''
    throw failure
  })
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(([, address]) =>
    address && !address.startsWith('127.') && address !== '::1' ? [{ address, port: DNS_PORT }] : [],
  )
}

/** Asks one resolver, the way the client asked. Rejects when it does not answer in time. */
export function forward(
  message: Buffer,
  resolver: Resolver,
  transport: 'udp' | 'tcp',
  clock: Clock,
): Promise<Buffer> {
  return transport === 'udp' ? overUdp(message, resolver, clock) : overTcp(message, resolver, clock)
}

function overUdp(message: Buffer, { address, port }: Resolver, clock: Clock): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const cancel = clock.after(TIMEOUT_MS, () => finish(() => reject(new Error('no answer in time'))))
    let isOver = false
    const finish = (then: () => void) => {
      if (isOver) return
      isOver = true
      cancel()
      socket.close()
      then()
    }
    socket.on('error', failure => finish(() => reject(failure)))
    socket.on('message', answer => {
      // Anything else is none of an answer to this.
      if (idOf(answer) === idOf(message)) finish(() => resolve(answer))
    })
    // Connected, the socket takes answers of this resolver alone.
    socket.connect(port, address, () => socket.send(message))
  })
}

function overTcp(message: Buffer, { address, port }: Resolver, clock: Clock): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, address, () => socket.write(framed(message)))
    const cancel = clock.after(TIMEOUT_MS, () => socket.destroy(new Error('no answer in time')))
    let held = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      const [answer] = unframed(held).messages
      if (!answer) return
      resolve(answer)
      socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => {
      cancel()
      reject(new Error('the connection was closed without an answer'))
    })
  })
}

function idOf(message: Buffer): number | undefined {
  return message.length >= 2 ? message.readUInt16BE(0) : undefined
}

/** A message as it goes over TCP: its length, then it. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  return Buffer.concat([length, message])
}

/** The whole messages at the start of what came over TCP, and the rest. */
export function unframed(bytes: Buffer): { readonly messages: readonly Buffer[]; readonly rest: Buffer } {
  const messages: Buffer[] = []
  let at = 0
  while (bytes.length >= at + 2) {
    const end = at + 2 + bytes.readUInt16BE(at)
    if (bytes.length < end) break
    messages.push(bytes.subarray(at + 2, end))
    at = end
  }
  return { messages, rest: bytes.subarray(at) }
}
