/** One sample of a Prometheus exposition. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Reads Prometheus text; comments are left out. */
export function parsePrometheus(text: string): readonly Sample[] {
  return text.split('\n').flatMap(line => {
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)/.exec(line)
    if (match === null) return []
    return [{ name: match[1] ?? '', labels: labelsOf(match[2] ?? ''), value: Number(match[3]) }]
  })
}

/** The sum of the samples of that name that have these labels. */
export function sumOf(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  return samples
    .filter(sample => sample.name === name && hasLabels(sample, labels))
    .reduce((sum, { value }) => sum + value, 0)
}

/** Whether a sample has these labels, whatever others it has. */
export function hasLabels(sample: Sample, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(([name, value]) => sample.labels[name] === value)
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [, name = '', value = ''] of text.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g))
    labels[name] = value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
  return labels
}
