/** One line of Prometheus' text format. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g

/** The samples whose names `wanted` takes. Lines that are no samples are passed over. */
export function parsePrometheus(text: string, wanted: (name: string) => boolean): Sample[] {
  const samples: Sample[] = []
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const end = line.search(/[{ ]/)
    if (!wanted(line.slice(0, end < 0 ? undefined : end))) continue
    const match = LINE.exec(line)
    if (!match) continue
    const [, name = '', labels = '', value = ''] = match
    samples.push({
      name,
      labels: parseLabels(labels),
      value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value),
    })
  }
  return samples
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
