import { encode, type Packet, type Question } from 'dns-packet'

const TTL_S = 5
/** Bits of the header's flags. */
const Flag = {
  authoritative: 1 << 10,
  truncated: 1 << 9,
  recursionDesired: 1 << 8,
  recursionAvailable: 1 << 7,
}
/** What a client takes over UDP that does not say how much (RFC 1035), and what is sent at most however much it says. */
const PLAIN_UDP_BYTES = 512
const MAX_UDP_BYTES = 4096

export const RCODE = { ok: 0, formatError: 1, serverFailure: 2, nameError: 3, notImplemented: 4 } as const

/** How many bytes an answer may have: over UDP what the client says it takes (EDNS), over TCP what its length field can say. */
export function sizeLimit(query: Packet, transport: 'udp' | 'tcp'): number {
  if (transport === 'tcp') return 65_535
  const edns = ednsOf(query)
  return edns ? Math.min(Math.max(edns.udpPayloadSize, PLAIN_UDP_BYTES), MAX_UDP_BYTES) : PLAIN_UDP_BYTES
}

/**
 * The answer to a query, with those of the addresses that are of the kind it asks for; none and no error where
 * the name exists, but not with that kind. Addresses that do not fit are left out, and the client is told to
 * ask again over TCP.
 */
export function answerTo(
  query: Packet,
  addresses: readonly string[],
  rcode: number,
  limit = Number.POSITIVE_INFINITY,
): Buffer {
  const records = (query.questions ?? []).slice(0, 1).flatMap(question => recordsOf(question, addresses))
  for (let count = records.length; ; count = Math.floor(count / 2)) {
    const message = write(query, records.slice(0, count), rcode, count < records.length)
    if (message.length <= limit || count === 0) return message
  }
}

function write(
  query: Packet,
  answers: ReturnType<typeof recordsOf>,
  rcode: number,
  isTruncated: boolean,
): Buffer {
  const desired = (query.flags ?? 0) & Flag.recursionDesired
  const flags = Flag.authoritative | Flag.recursionAvailable | desired | (isTruncated ? Flag.truncated : 0)
  return encode({
    type: 'response',
    id: query.id ?? 0,
    flags: flags | rcode,
    questions: query.questions ?? [],
    answers,
    ...(ednsOf(query) ? { additionals: [EDNS] } : {}),
  })
}

function recordsOf({ name, type }: Question, addresses: readonly string[]) {
  if (type !== 'A' && type !== 'AAAA') return []
  return addresses
    .filter(address => address.includes(':') === (type === 'AAAA'))
    .map(data => ({ type, name, ttl: TTL_S, data }))
}

/** Who asks with EDNS is answered with it (RFC 6891). */
const EDNS = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: MAX_UDP_BYTES,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
} as const satisfies NonNullable<Packet['additionals']>[number]

function ednsOf(query: Packet): { readonly udpPayloadSize: number } | undefined {
  const found = query.additionals?.find(record => record.type === 'OPT')
  return found && 'udpPayloadSize' in found ? { udpPayloadSize: Number(found.udpPayloadSize) } : undefined
}
