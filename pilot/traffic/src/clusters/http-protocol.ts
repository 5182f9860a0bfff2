import type { Any } from '@bufbuild/protobuf/wkt'
import { any } from '@seine/envoy'
import type { HttpProtocolOptionsSchema as Schema } from '@seine/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options'
import { HttpProtocolOptionsSchema } from '@seine/envoy/envoy/extensions/upstreams/http/v3/http_protocol_options'
import type { Init } from '../init.ts'

type Options = Init<typeof Schema>

/** Which HTTP a cluster speaks: a fixed version, or the one its caller speaks. */
export type HttpVersion = 'http1' | 'http2' | 'as-client'

/** What TLS says it is going to speak. Nothing, where that differs by connection or is not HTTP. */
export function alpnOf(version: HttpVersion | undefined): readonly string[] {
  return version === 'http2' ? ['h2'] : version === 'http1' ? ['http/1.1'] : []
}

/** What a cluster's HTTP asks for beside its version. */
export interface HttpSettings {
  readonly maxConcurrentStreams?: number | undefined
  readonly common?: Options['commonHttpProtocolOptions']
  /** The server's name in TLS, and the one its certificate is checked for, are those of the request. */
  readonly nameFromRequest?: boolean
}

/** The extension options that fix a cluster's HTTP version. WebSockets cross HTTP/2 by extended CONNECT. */
export function httpProtocolOptions(
  version: HttpVersion,
  { maxConcurrentStreams, common = {}, nameFromRequest = false }: HttpSettings = {},
): Record<string, Any> {
  const http2 = {
    allowConnect: true,
    ...(maxConcurrentStreams === undefined ? {} : { maxConcurrentStreams }),
  }
  const options: Options = {
    commonHttpProtocolOptions: common,
    upstreamProtocolOptions: specifier(version, http2),
    ...(nameFromRequest ? { upstreamHttpProtocolOptions: { autoSni: true, autoSanValidation: true } } : {}),
  }
  return { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': any(HttpProtocolOptionsSchema, options) }
}

type Specifier = NonNullable<Options['upstreamProtocolOptions']>

function specifier(
  version: HttpVersion,
  http2: { allowConnect: boolean; maxConcurrentStreams?: number },
): Specifier {
  if (version === 'as-client')
    return {
      case: 'useDownstreamProtocolConfig',
      value: { httpProtocolOptions: {}, http2ProtocolOptions: http2 },
    }
  if (version === 'http2')
    return {
      case: 'explicitHttpConfig',
      value: { protocolConfig: { case: 'http2ProtocolOptions', value: http2 } },
    }
  return { case: 'explicitHttpConfig', value: { protocolConfig: { case: 'httpProtocolOptions', value: {} } } }
}
