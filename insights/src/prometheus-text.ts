/** One line of Prometheus' text format. Lines of one histogram share their labels object. */
export interface Sample {
  readonly name: string
  /** Without `le`. */
  readonly labels: Readonly<Record<string, string>>
  /** The bucket's upper bound, of a histogram's bucket. */
  readonly le: number | undefined
  readonly value: number
}

/** More than a sidecar with thousands of call kinds has; a body beyond it is refused, not cut. */
const MAX_SAMPLES = 200_000
const MAX_LINE_BYTES = 8 << 10

const NEWLINE = 0x0a
const SPACE = 0x20
const HASH = 0x23
const COMMA = 0x2c
const OPEN = 0x7b
const CLOSE = 0x7d
const BUCKET = '_bucket'
const BOUND = /^,le="([^"]*)",?$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g

/**
 * Reads Prometheus' text format as it arrives, in pieces of any size. Of the many lines of a sidecar only those
 * of the wanted families are decoded, and the labels of a histogram once and not for each of its buckets.
 */
export class MetricsReader {
  readonly samples: Sample[] = []
  readonly #wanted: ReadonlySet<string>
  #rest: Buffer | undefined
  /** The labels of the line before without a bound, as bytes and as read. */
  #labelBytes: Buffer = Buffer.alloc(0)
  #labels: Readonly<Record<string, string>> = {}

  constructor(wanted: ReadonlySet<string>) {
    this.#wanted = wanted
  }

  /** Takes the next piece. Throws when the text is larger than any sidecar's. */
  push(chunk: Buffer): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    let start = 0
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      this.#line(bytes, start, end)
      start = end + 1
    }
    checkLength(bytes.length - start)
    // A copy: a view would keep the whole piece.
    this.#rest = start < bytes.length ? Buffer.from(bytes.subarray(start)) : undefined
  }

  /** The text has ended. */
  end(): void {
    if (this.#rest) this.#line(this.#rest, 0, this.#rest.length)
    this.#rest = undefined
  }

  #line(bytes: Buffer, start: number, end: number): void {
    if (start === end || bytes[start] === HASH) return
    let nameEnd = start
    while (nameEnd < end && bytes[nameEnd] !== OPEN && bytes[nameEnd] !== SPACE) nameEnd++
    const name = bytes.toString('latin1', start, nameEnd)
    if (!this.#wanted.has(name)) return
    checkLength(end - start)
    const hasLabels = bytes[nameEnd] === OPEN
    let labelsEnd = hasLabels ? end - 1 : nameEnd
    while (hasLabels && labelsEnd > nameEnd && bytes[labelsEnd] !== CLOSE) labelsEnd--
    if (hasLabels && labelsEnd === nameEnd) return
    const [text = ''] = bytes
      .toString('latin1', labelsEnd + (hasLabels ? 1 : 0), end)
      .trim()
      .split(' ', 1)
    const value = numberOf(text)
    if (value === undefined) return
    if (this.samples.length >= MAX_SAMPLES) throw new Error(`more than ${MAX_SAMPLES} samples`)
    const labelsStart = Math.min(nameEnd + 1, labelsEnd)
    const read = name.endsWith(BUCKET)
      ? this.#bucket(bytes, labelsStart, labelsEnd)
      : { labels: this.#read(bytes, labelsStart, labelsEnd), le: undefined }
    this.samples.push({ name, ...read, value })
  }

  /** Envoy writes the bound last: what stands before it is the same in all lines of a histogram. */
  #bucket(bytes: Buffer, start: number, end: number): Pick<Sample, 'labels' | 'le'> {
    let comma = end - 1
    while (comma > start && bytes[comma] !== COMMA) comma--
    const [, bound] = BOUND.exec(bytes.toString('latin1', comma, end)) ?? []
    if (bound !== undefined) return { labels: this.#read(bytes, start, comma), le: numberOf(bound) }
    const { le = '', ...others } = parseLabels(bytes.toString('utf8', start, end))
    return { labels: others, le: numberOf(le) }
  }

  /** The labels, not read again where they are those of the line before. */
  #read(bytes: Buffer, start: number, end: number): Readonly<Record<string, string>> {
    const known = this.#labelBytes
    if (known.length !== end - start || known.compare(bytes, start, end) !== 0) {
      this.#labelBytes = Buffer.from(bytes.subarray(start, end))
      this.#labels = parseLabels(bytes.toString('utf8', start, end))
    }
    return this.#labels
  }
}

/** Reads a whole text. */
export function parsePrometheus(text: string, wanted: ReadonlySet<string>): Sample[] {
  const reader = new MetricsReader(wanted)
  reader.push(Buffer.from(text))
  reader.end()
  return reader.samples
}

function numberOf(text: string): number | undefined {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  const value = text === '' ? Number.NaN : Number(text)
  return Number.isNaN(value) ? undefined : value
}

function checkLength(bytes: number): void {
  if (bytes > MAX_LINE_BYTES) throw new Error('a line of metrics is longer than 8 KiB')
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  if (text.includes('\\')) {
    for (const [, name = '', value = ''] of text.matchAll(LABEL))
      labels[name] = value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
    return labels
  }
  // Without escapes a quote always ends a value: several times as fast, and so is nearly every line.
  let start = 0
  for (let quote = text.indexOf('="'); quote >= 0; quote = text.indexOf('="', start)) {
    const end = text.indexOf('"', quote + 2)
    if (end < 0) break
    labels[text.slice(start, quote)] = text.slice(quote + 2, end)
    start = text[end + 1] === ',' ? end + 2 : end + 1
  }
  return labels
}
