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
const MAX_LINE_BYTES = 64 << 10

const NEWLINE = 0x0a
const HASH = 0x23
const BRACE = 0x7b
const SPACE = 0x20
const BUCKET = '_bucket'
const LE = ',le="'
const BOUND = /^,le="([^"]*)",?$/
const NOTHING = Buffer.alloc(0)
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g

/**
 * Reads Prometheus' text format as it arrives, in pieces of any size. Of the many lines of a sidecar only those
 * of the wanted families are decoded, and the labels of a histogram once and not for each of its buckets.
 */
export class MetricsReader {
  readonly samples: Sample[] = []
  readonly #wanted: ReadonlySet<string>
  #rest: Buffer | undefined
  /** The labels of the line before, as bytes up to `le`, and as read. */
  #labelBytes: Buffer = NOTHING
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
    if (bytes.length - start > MAX_LINE_BYTES) throw new Error('a line of metrics is longer than 64 KiB')
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
    while (nameEnd < end && bytes[nameEnd] !== BRACE && bytes[nameEnd] !== SPACE) nameEnd++
    const name = bytes.toString('latin1', start, nameEnd)
    if (!this.#wanted.has(name)) return
    const labelsEnd = bytes[nameEnd] === BRACE ? bytes.lastIndexOf('}', end - 1) : nameEnd
    if (labelsEnd < nameEnd) return
    const value = numberOf(
      bytes
        .toString('latin1', labelsEnd + 1, end)
        .trim()
        .split(' ', 1)[0] ?? '',
    )
    if (value === undefined) return
    if (this.samples.length >= MAX_SAMPLES) throw new Error(`more than ${MAX_SAMPLES} samples`)
    const labels = bytes[nameEnd] === BRACE ? bytes.subarray(nameEnd + 1, labelsEnd) : NOTHING
    this.samples.push({ name, ...this.#read(labels, name.endsWith(BUCKET)), value })
  }

  #read(labels: Buffer, isBucket: boolean): Pick<Sample, 'labels' | 'le'> {
    if (!isBucket) return { labels: this.#known(labels), le: undefined }
    // Envoy writes the bound last: what stands before it is the same in all lines of a histogram.
    const at = labels.lastIndexOf(LE)
    const [, bound] = at < 0 ? [] : (BOUND.exec(labels.toString('latin1', at)) ?? [])
    if (bound !== undefined) return { labels: this.#known(labels.subarray(0, at)), le: numberOf(bound) }
    const { le = '', ...others } = parseLabels(labels.toString('utf8'))
    return { labels: others, le: numberOf(le) }
  }

  /** The labels as read, without reading them again where they are those of the line before. */
  #known(labels: Buffer): Readonly<Record<string, string>> {
    if (!this.#labelBytes.equals(labels)) {
      // A copy: a view would keep the whole piece.
      this.#labelBytes = Buffer.from(labels)
      this.#labels = parseLabels(labels.toString('utf8'))
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

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [, name = '', value = ''] of text.matchAll(LABEL)) {
    labels[name] = value.includes('\\')
      ? value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
      : value
  }
  return labels
}
