import { errorMessage } from '@seine/kit'
import { fetchText } from './apps/lib/http-client.ts'

/** One sample of a Prometheus exposition. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Reads the samples of the named families out of Prometheus text. */
export function parseSamples(text: string, names: ReadonlySet<string>): readonly Sample[] {
  const samples: Sample[] = []
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)/.exec(line)
    if (match === null || !names.has(match[1] ?? '')) continue
    samples.push({ name: match[1] ?? '', labels: parseLabels(match[2] ?? ''), value: Number(match[3]) })
  }
  return samples
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [, name = '', value = ''] of text.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)) {
    labels[name] = value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
  }
  return labels
}

/** Requests and TCP connections, as the mesh's standard metrics count them. */
export const TRAFFIC_METRICS: ReadonlySet<string> = new Set([
  'istio_requests_total',
  'istio_tcp_connections_opened_total',
])

/** A workload's security, as measured at the receiving proxies. */
export interface MeasuredWorkload {
  readonly name: string
  readonly namespace: string
  /** The SPIFFE id in the certificate that the other side saw; empty when none was seen. */
  readonly identity: string
  /** Something was received or sent by mutual TLS, and nothing received without it. */
  readonly mtls: boolean
  readonly mutualTls: number
  readonly plaintext: number
}

/**
 * What the receiving proxies saw of one workload. A workload that receives is judged by what it
 * received; one that only sends, by what the others received of it.
 */
export function measureWorkload(
  name: string,
  namespace: string,
  samples: readonly Sample[],
): MeasuredWorkload {
  const reported = samples.filter(sample => sample.labels['reporter'] === 'destination' && sample.value > 0)
  const side = (role: string) =>
    reported.filter(
      ({ labels }) =>
        labels[`${role}_workload`] === name && labels[`${role}_workload_namespace`] === namespace,
    )
  const received = side('destination')
  const [judged, role] = received.length > 0 ? [received, 'destination'] : [side('source'), 'source']
  const isMutual = (sample: Sample) => sample.labels['connection_security_policy'] === 'mutual_tls'
  const mutual = judged.filter(isMutual)
  const sum = (of: readonly Sample[]) => of.reduce((total, sample) => total + sample.value, 0)
  const mutualTls = sum(mutual)
  const plaintext = sum(judged.filter(sample => !isMutual(sample)))
  const identity =
    mutual
      .map(({ labels }) => labels[`${role}_principal`] ?? '')
      .find(principal => principal.startsWith('spiffe://')) ?? ''
  return {
    name,
    namespace,
    identity,
    mtls: mutualTls > 0 && plaintext === 0 && identity !== '',
    mutualTls,
    plaintext,
  }
}

/** Reads an agent's merged metrics. A failure is a reason, not an exception: the agent may be restarting. */
export async function scrape(
  ip: string,
): Promise<{ readonly samples: readonly Sample[]; readonly failure?: string }> {
  try {
    const { status, body } = await fetchText(`http://${ip}:15020/stats/prometheus`, {}, 3_000)
    if (status !== 200) return { samples: [], failure: `the metrics of ${ip}:15020 answered ${status}` }
    return { samples: parseSamples(body, TRAFFIC_METRICS) }
  } catch (failure) {
    return { samples: [], failure: `the metrics of ${ip}:15020: ${errorMessage(failure)}` }
  }
}

/** Asks an address as a browser would. @returns what is wrong where it does not answer with a page. */
export async function failureOf(address: string): Promise<string | undefined> {
  try {
    const { status } = await fetchText(address, {}, 3_000)
    return status === 200 ? undefined : `${address} answered ${status}`
  } catch (failure) {
    return `${address}: ${errorMessage(failure)}`
  }
}
