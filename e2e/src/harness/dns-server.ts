import { createSocket } from 'node:dgram'

/** The address that pods ask for names outside of the mesh: the host's, on the bridge. */
const ADDRESS = '10.77.0.1'
const PORT = 53
const HEADER_BYTES = 12
const TYPE_A = 1
const NAME_ERROR = 3

/**
 * A name server of the world outside the mesh, on the host, where the pods' proxies look for one: A records
 * (RFC 1035) for the given names, and that there is no such name for all others.
 */
export async function startDnsServer(
  records: Readonly<Record<string, string>>,
): Promise<{ close(): Promise<void>; readonly asked: ReadonlySet<string> }> {
  const asked = new Set<string>()
  const socket = createSocket('udp4')
  socket.on('message', (query, from) => {
    const { name, type, end } = questionOf(query)
    asked.add(name)
    socket.send(answer(query.subarray(0, end), records[name], type), from.port, from.address)
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(PORT, ADDRESS, resolve)
  })
  return { asked, close: () => new Promise(resolve => socket.close(() => resolve())) }
}

function questionOf(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = HEADER_BYTES
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('ascii', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

/** The question with an answer after it. A name that exists has no addresses but IPv4. */
function answer(question: Buffer, address: string | undefined, type: number): Buffer {
  const head = Buffer.from(question)
  const found = address !== undefined && type === TYPE_A
  // Response, recursion desired and available; one question, so many answers, nothing else.
  head.writeUInt16BE(0x8180 | (address === undefined ? NAME_ERROR : 0), 2)
  for (const [offset, count] of [
    [4, 1],
    [6, found ? 1 : 0],
    [8, 0],
    [10, 0],
  ] as const)
    head.writeUInt16BE(count, offset)
  if (!found) return head
  const record = Buffer.alloc(12)
  record.writeUInt16BE(0xc000 | HEADER_BYTES, 0)
  record.writeUInt16BE(TYPE_A, 2)
  record.writeUInt16BE(1, 4)
  record.writeUInt32BE(1, 6)
  record.writeUInt16BE(4, 10)
  return Buffer.concat([head, record, Buffer.from(address.split('.').map(Number))])
}
