import { base64Decode } from '@bufbuild/protobuf/wire'
import type { Secret } from '@seine/api'
import type { EncodedResource } from '@seine/envoy'
import { SecretSchema } from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/secret'
import type { MeshSnapshot } from '@seine/model'
import { encode } from '../encode.ts'
import { AUTHORITY_SUFFIX, secretOf } from '../listeners/server-tls.ts'

/**
 * A Kubernetes Secret as Envoy's, as Istio reads them: `tls.crt` and `tls.key`, or `cert` and `key`; authorities as
 * `ca.crt` or `cacert`, in the secret itself or in one whose name ends in `-cacert`, with `ca.crl` or `crl`.
 *
 * @returns undefined where there is no such secret in the namespace, or it lacks what is asked for.
 */
export function gatewaySecret(
  { secrets }: MeshSnapshot,
  own: string,
  sdsName: string,
): EncodedResource | undefined {
  const meant = secretOf(sdsName, own)
  if (meant === undefined) return undefined
  const { namespace, name } = meant
  const secret = secrets.get(`${namespace}/${name}`)
  if (secret && !name.endsWith(AUTHORITY_SUFFIX))
    return certificateOf(secret, sdsName) ?? authorityOf(secret, sdsName)
  const authority = secret && authorityOf(secret, sdsName)
  if (authority || !name.endsWith(AUTHORITY_SUFFIX)) return authority
  const whole = secrets.get(`${namespace}/${name.slice(0, -AUTHORITY_SUFFIX.length)}`)
  return whole && authorityOf(whole, sdsName)
}

function certificateOf(secret: Secret, sdsName: string): EncodedResource | undefined {
  const certificate = valueOf(secret, ['tls.crt', 'cert'])
  const key = valueOf(secret, ['tls.key', 'key'])
  if (!certificate || !key) return undefined
  const value = { certificateChain: inline(certificate), privateKey: inline(key) }
  return encode(SecretSchema, sdsName, { name: sdsName, type: { case: 'tlsCertificate', value } }, [
    refOfSecret(secret),
  ])
}

function authorityOf(secret: Secret, sdsName: string): EncodedResource | undefined {
  const trusted = valueOf(secret, ['ca.crt', 'cacert'])
  if (!trusted) return undefined
  const revoked = valueOf(secret, ['ca.crl', 'crl'])
  const value = { trustedCa: inline(trusted), ...(revoked ? { crl: inline(revoked) } : {}) }
  return encode(SecretSchema, sdsName, { name: sdsName, type: { case: 'validationContext', value } }, [
    refOfSecret(secret),
  ])
}

function refOfSecret({ kind, metadata }: Secret) {
  return { kind, namespace: metadata.namespace, name: metadata.name }
}

function valueOf({ spec }: Secret, keys: readonly string[]): Uint8Array<ArrayBuffer> | undefined {
  for (const key of keys) {
    const text = spec.stringData?.[key]
    if (text !== undefined) return new TextEncoder().encode(text)
    const encoded = spec.data?.[key]
    if (encoded !== undefined) return base64Decode(encoded)
  }
  return undefined
}

function inline(value: Uint8Array<ArrayBuffer>) {
  return { specifier: { case: 'inlineBytes' as const, value } }
}
