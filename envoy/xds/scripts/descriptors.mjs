// The protobuf descriptors that a C++ program embeds, read from its binary. They are exactly those of
// the Envoy release we run, which no published package of messages promises.
import { fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'

const LENGTH_DELIMITED = 2
/** Field number → wire type, for every field of google.protobuf.FileDescriptorProto. */
const FILE_FIELDS = new Map([
  [1, 2],
  [2, 2],
  [3, 2],
  [4, 2],
  [5, 2],
  [6, 2],
  [7, 2],
  [8, 2],
  [9, 2],
  [10, 0],
  [11, 0],
  [12, 2],
  [14, 0],
])
const MAX_FIELD_BYTES = 2_000_000

/** All file descriptors in the binary, by file name. */
export function embeddedDescriptors(binary) {
  const found = new Map()
  const marker = Buffer.from('.proto\x12')
  for (let at = binary.indexOf(marker); at >= 0; at = binary.indexOf(marker, at + 1)) {
    const start = startOfName(binary, at + '.proto'.length)
    if (start < 0) continue
    const file = longestMessage(binary, start)
    if (file && !found.has(file.name)) found.set(file.name, file)
  }
  return found
}

/** Offset of the tag of field 1 (the file's name) given where the name ends, or -1. */
function startOfName(binary, end) {
  for (let length = '.proto'.length + 1; length < 128; length++) {
    const start = end - length - 2
    if (start < 0) return -1
    if (
      binary[start] === 0x0a &&
      binary[start + 1] === length &&
      /^[\w\-/.]+$/.test(binary.toString('latin1', start + 2, end))
    )
      return start
  }
  return -1
}

/** Messages stand in the binary without their length: follow the fields and take the longest run that parses. */
function longestMessage(binary, start) {
  const ends = fieldEnds(binary, start)
  for (const end of ends.reverse()) {
    try {
      return fromBinary(FileDescriptorProtoSchema, binary.subarray(start, end))
    } catch {
      // A run that ends inside what follows the message does not parse; the next shorter one may.
    }
  }
  return undefined
}

function fieldEnds(binary, start) {
  const ends = []
  let at = start
  for (;;) {
    const [tag, afterTag] = varint(binary, at)
    const wire = FILE_FIELDS.get(tag >>> 3)
    if (wire === undefined || wire !== (tag & 7) || (tag >>> 3 === 1 && at !== start)) return ends
    const [value, afterValue] = varint(binary, afterTag)
    if (wire === LENGTH_DELIMITED && value > MAX_FIELD_BYTES) return ends
    at = wire === LENGTH_DELIMITED ? afterValue + value : afterValue
    if (at > binary.length) return ends
    ends.push(at)
  }
}

function varint(binary, at) {
  let value = 0
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = binary[at++] ?? 0
    value += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
  }
  return [value, at]
}

/** The named files and all they import, imports first. Throws when one is missing. */
export function withImports(files, names) {
  const ordered = new Map()
  const visit = (name, from) => {
    if (ordered.has(name)) return
    const file = files.get(name)
    if (!file) throw new Error(`${name}, imported by ${from}, is not among the descriptors of this Envoy`)
    for (const dependency of file.dependency) visit(dependency, name)
    ordered.set(name, file)
  }
  for (const name of names) visit(name, 'the list of roots')
  return [...ordered.values()]
}
