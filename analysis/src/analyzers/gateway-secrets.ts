import type { Gateway, Secret } from '@seine/api'
import { type Analyzer, WORKLOAD_KINDS } from '../analyzer.ts'
import type { AnalysisContext } from '../context.ts'
import { gatewayWorkloads } from './gateways.ts'

/** Secrets of gateways that are not there (IST0101), or that hold no certificate (IST0161). */
export const gatewaySecrets: Analyzer = {
  name: 'gateway-secrets',
  inputs: ['Gateway', 'Secret', 'ConfigMap', ...WORKLOAD_KINDS],
  analyze(context, report) {
    for (const gateway of context.gateways) {
      // Secrets lie where the gateway's workloads run; without any, that they are missing is reported already.
      const namespace = gatewayWorkloads(context, gateway)[0]?.namespace
      if (namespace === undefined) continue
      for (const [index, { tls }] of gateway.spec.servers.entries())
        for (const { text, path } of credentials(tls)) {
          const [of, name] = text.includes('/') ? text.split('/', 2) : [namespace, text]
          const at = ['spec', 'servers', index, 'tls', ...path]
          const secret = context.find('Secret', of ?? '', name ?? '')
          const problem = secret && secretProblem(context, secret)
          if (problem) report(gateway, 'IST0161', at, { secret: `${of}/${name}`, problem })
          else if (!secret && !context.exists('Secret', of ?? '', name ?? ''))
            report(gateway, 'IST0101', at, { what: 'credentialName', name: `${of}/${name}` })
        }
    }
  },
}

/** The names of secrets in TLS settings; other schemes lead elsewhere. */
function credentials(tls: Gateway['spec']['servers'][number]['tls']) {
  const named = [
    { text: tls?.credentialName ?? '', path: ['credentialName'] },
    ...(tls?.credentialNames ?? []).map((text, index) => ({ text, path: ['credentialNames', index] })),
  ]
  return named.filter(({ text }) => text !== '' && !text.includes('://'))
}

function secretProblem(context: AnalysisContext, { spec }: Secret): string | undefined {
  const text = (name: string): string | undefined =>
    spec.stringData?.[name] ?? (spec.data?.[name] === undefined ? undefined : fromBase64(spec.data[name]))
  const certificate = text('tls.crt') ?? text('cert')
  const key = text('tls.key') ?? text('key')
  if (!certificate || !key) return `it has no ${certificate ? 'tls.key' : 'tls.crt'}`
  if (!/-----BEGIN CERTIFICATE-----/.test(certificate)) return 'tls.crt is no certificate in PEM'
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key)) return 'tls.key is no private key in PEM'
  return context.options.certificateProblem?.(certificate, key)
}

function fromBase64(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(text), char => char.charCodeAt(0)))
}
