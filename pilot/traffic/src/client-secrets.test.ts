import { TypeUrl } from '@seine/envoy'
import { MeshModel } from '@seine/model'
import { objectYaml, resourcesOf } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { TrafficGenerator } from './generator.ts'
import { parseProxy } from './proxy.ts'

const NETWORKING = 'networking.istio.io/v1'
const credential = { mode: 'MUTUAL', credentialName: 'partner' }
const rule = (namespace: string, spec: object = {}) =>
  objectYaml(NETWORKING, 'DestinationRule', `partner.${namespace}`, { host: 'x.example', ...spec })
const partner = (namespace: string, key = 'key') =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'partner', namespace },
    stringData: { 'tls.crt': 'certificate', 'tls.key': key, 'ca.crt': 'root' },
  })

/** Proxies of a mesh, and what they get when they ask for secrets. */
function mesh(...texts: readonly string[]) {
  const model = new MeshModel()
  const { snapshot } = model.apply({ upserts: resourcesOf(...texts), deletes: [] })
  const generator = new TrafficGenerator(snapshot, [])
  const proxy = (namespace: string, options: { labels?: object; authenticated?: boolean } = {}) => {
    const { labels = {}, authenticated = true } = options
    const parsed = parseProxy(`sidecar~10.0.0.1~a.${namespace}~x`, { LABELS: labels })
    if (!parsed.ok) throw new Error(parsed.error)
    const configuration = generator.configurationOf({ ...parsed.value, authenticated })
    return (name: string) => {
      const secret = configuration.get(TypeUrl.secret, name)
      return secret && new TextDecoder().decode(secret.bytes)
    }
  }
  const apply = (...more: readonly string[]) => {
    const applied = model.apply({ upserts: resourcesOf(...more), deletes: [] })
    return generator.update(applied.snapshot, applied.changes)
  }
  return { proxy, apply }
}

describe('a secret that a DestinationRule names', () => {
  const tls = { trafficPolicy: { tls: credential } }

  it('goes to clients of its own namespace, with the roots to trust', () => {
    const { proxy } = mesh(rule('shop', tls), partner('shop'), partner('other', 'foreign'))
    expect(proxy('shop')('kubernetes://partner')).toContain('key')
    expect(proxy('shop')('kubernetes://partner-cacert')).toContain('root')
    expect(proxy('shop')('kubernetes://partner-cacert')).not.toContain('key')
    // The rule is for all, and each has the secret of its own namespace.
    expect(proxy('other')('kubernetes://partner')).toContain('foreign')
    expect(proxy('third')('kubernetes://partner')).toBeUndefined()
  })

  it('goes to nobody whose identity is not proven, and to nobody for whom the rule does not hold', () => {
    const workloadSelector = { matchLabels: { app: 'a' } }
    const { proxy } = mesh(rule('shop', { ...tls, workloadSelector, exportTo: ['.'] }), partner('shop'))
    expect(
      proxy('shop', { labels: { app: 'a' }, authenticated: false })('kubernetes://partner'),
    ).toBeUndefined()
    expect(proxy('shop', { labels: { app: 'b' } })('kubernetes://partner')).toBeUndefined()
    expect(proxy('shop', { labels: { app: 'a' } })('kubernetes://partner')).toContain('key')
  })

  it('is for those that name it only, and is told when rule or secret change', () => {
    const { proxy, apply } = mesh(rule('shop'), partner('shop'))
    const ask = proxy('shop')
    expect(ask('kubernetes://partner')).toBeUndefined()
    const port = { port: { number: 443 }, tls: { ...credential, mode: 'SIMPLE' } }
    const changed = apply(rule('shop', { trafficPolicy: { portLevelSettings: [port] } }))
    expect(changed.get(TypeUrl.secret)).toContain('kubernetes://partner-cacert')
    // Nobody asks for a certificate of the client.
    expect(ask('kubernetes://partner')).toBeUndefined()
    expect(ask('kubernetes://partner-cacert')).toContain('root')
    expect(apply(partner('shop', 'renewed')).get(TypeUrl.secret)).toContain('kubernetes://partner')
    apply(rule('shop', { subsets: [{ name: 'v1', labels: { a: 'b' }, trafficPolicy: { tls: credential } }] }))
    expect(ask('kubernetes://partner')).toContain('renewed')
  })
})

it('a secret by which a Sidecar checks clients goes to its workloads', () => {
  const ingress = {
    port: { number: 9443, protocol: 'TLS', name: 'tls' },
    defaultEndpoint: '127.0.0.1:8080',
    tls: { mode: 'MUTUAL', serverCertificate: '/c', privateKey: '/k', caCertCredentialName: 'partner' },
  }
  const sidecar = objectYaml(NETWORKING, 'Sidecar', 'a.shop', { ingress: [ingress] })
  const { proxy } = mesh(sidecar, partner('shop'))
  expect(proxy('shop')('kubernetes://partner')).toContain('certificate')
  expect(mesh(partner('shop')).proxy('shop')('kubernetes://partner')).toBeUndefined()
})
