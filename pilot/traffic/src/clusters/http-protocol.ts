import type { Any, Duration } from '@bufbuild/protobuf/wkt'
import type { ClientTlsSettings } from '@seine/api'
import { any, duration } from '@seine/envoy'
import type { Http1ProtocolOptionsSchema } from '@seine/envoy/envoy/config/core/v3/protocol'
import { PreserveCaseFormatterConfigSchema } from '@seine/envoy/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case'
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

/** Whether a server is asked for by the name in each request, and whether its certificate must be for that as well. */
export type NameFromRequest = 'asked' | 'checked'

/**
 * How far the name in each request is the server's where no other is said.
 *
 * @param sans names of which its certificate must have one, in place of that
 */
export function nameFromRequest(
  { sni, insecureSkipVerify }: Pick<ClientTlsSettings, 'sni' | 'insecureSkipVerify'>,
  sans: readonly string[],
): NameFromRequest | undefined {
  if (sni) return undefined
  return insecureSkipVerify || sans.length > 0 ? 'asked' : 'checked'
}

/** What a cluster's HTTP asks for beside its version. */
export interface HttpSettings {
  readonly maxConcurrentStreams?: number | undefined
  readonly common?: Options['commonHttpProtocolOptions']
  /** Pings on HTTP/2 connections. */
  readonly keepAlive?: { readonly intervalMs: number; readonly timeoutMs: number } | undefined
  /** Answers that count as failures to outlier detection, in place of 5xx. */
  readonly failures?: readonly number[] | undefined
  /** The server's name in TLS is that of the request; its certificate may be checked for that. */
  readonly nameFromRequest?: NameFromRequest | undefined
  /** Names of headers keep the letters that they were written with, over HTTP/1.1. */
  readonly keepsCase?: boolean
}

/** The extension options that fix a cluster's HTTP version. WebSockets cross HTTP/2 by extended CONNECT. */
export function httpProtocolOptions(
  version: HttpVersion,
  {
    maxConcurrentStreams,
    common = {},
    keepAlive,
    failures,
    nameFromRequest,
    keepsCase = false,
  }: HttpSettings = {},
): Record<string, Any> {
  const http2 = {
    allowConnect: true,
    ...(maxConcurrentStreams === undefined ? {} : { maxConcurrentStreams }),
    ...(keepAlive
      ? {
          connectionKeepalive: {
            interval: duration(keepAlive.intervalMs),
            timeout: duration(keepAlive.timeoutMs),
          },
        }
      : {}),
  }
  const options: Options = {
    commonHttpProtocolOptions: common,
    upstreamProtocolOptions: specifier(version, keepsCase ? { headerKeyFormat: KEPT_CASE } : {}, http2),
    ...(failures?.length ? { outlierDetection: { errorMatcher: statusMatcher(failures) } } : {}),
    ...(nameFromRequest
      ? { upstreamHttpProtocolOptions: { autoSni: true, autoSanValidation: nameFromRequest === 'checked' } }
      : {}),
  }
  return { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': any(HttpProtocolOptionsSchema, options) }
}

type Matcher = NonNullable<NonNullable<Options['outlierDetection']>['errorMatcher']>

/** Whether an answer has one of these statuses. */
function statusMatcher(statuses: readonly number[]): Matcher {
  const [only, ...others] = statuses.map(
    (status): Matcher => ({
      rule: {
        case: 'httpResponseHeadersMatch',
        value: {
          headers: [
            {
              name: ':status',
              headerMatchSpecifier: {
                case: 'stringMatch',
                value: { matchPattern: { case: 'exact', value: String(status) } },
              },
            },
          ],
        },
      },
    }),
  )
  return only && others.length === 0
    ? only
    : { rule: { case: 'orMatch', value: { rules: only ? [only, ...others] : [] } } }
}

type Specifier = NonNullable<Options['upstreamProtocolOptions']>

type Http1 = Init<typeof Http1ProtocolOptionsSchema>

/** Has a connection's codec keep the letters of the names of headers. */
export const KEPT_CASE: NonNullable<Http1['headerKeyFormat']> = {
  headerFormat: {
    case: 'statefulFormatter',
    value: { name: 'preserve_case', typedConfig: any(PreserveCaseFormatterConfigSchema, {}) },
  },
}

interface Http2 {
  readonly allowConnect: boolean
  readonly maxConcurrentStreams?: number
  readonly connectionKeepalive?: { readonly interval: Duration; readonly timeout: Duration }
}

function specifier(version: HttpVersion, http1: Http1, http2: Http2): Specifier {
  if (version === 'as-client')
    return {
      case: 'useDownstreamProtocolConfig',
      value: { httpProtocolOptions: http1, http2ProtocolOptions: http2 },
    }
  if (version === 'http2')
    return {
      case: 'explicitHttpConfig',
      value: { protocolConfig: { case: 'http2ProtocolOptions', value: http2 } },
    }
  return {
    case: 'explicitHttpConfig',
    value: { protocolConfig: { case: 'httpProtocolOptions', value: http1 } },
  }
}
