/** A sample line of the standard metrics: name, labels, value. */
const SAMPLE = /^(istio_[a-z_]+)\{(.*)\} (\S+)$/

/**
 * Envoy's metrics in Prometheus' text format as people know Istio's: without Envoy's prefix, and with `unknown`
 * where nothing is known of a peer. Envoy writes `-` or nothing there; it could replace them itself, but rules
 * for that make up most of a proxy's configuration.
 */
export function istioMetrics(text: string): string {
  const named = text.replace(/^(# TYPE )?envoy_istio_/gm, '$1istio_')
  const filled = named.replace(/([{,])((?:source|destination)_[a-z_]+)="-?"/g, '$1$2="unknown"')
  const whole = filled.replaceAll('grpc_response_status="-"', 'grpc_response_status=""')
  // Only where Envoy wrote both can two samples have become one.
  return /[{,](?:source|destination)_[a-z_]+=""/.test(named) ? merged(whole) : whole
}

/** Adds up samples of the same name and labels: Prometheus refuses a text in which one stands twice. */
function merged(text: string): string {
  const totals = new Map<string, number>()
  const lines = text.split('\n')
  for (const line of lines) {
    const [, name, labels, value] = SAMPLE.exec(line) ?? []
    if (name === undefined) continue
    const key = `${name}{${labels}}`
    totals.set(key, (totals.get(key) ?? 0) + Number(value))
  }
  const written = new Set<string>()
  const kept = lines.flatMap(line => {
    const [, name, labels] = SAMPLE.exec(line) ?? []
    if (name === undefined) return [line]
    const key = `${name}{${labels}}`
    if (written.has(key)) return []
    written.add(key)
    return [`${key} ${totals.get(key)}`]
  })
  return kept.join('\n')
}
