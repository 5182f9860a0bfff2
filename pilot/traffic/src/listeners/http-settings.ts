import type { MeshConfig, ProxySettings } from '@seine/api'
import {
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  HttpConnectionManager_ForwardClientCertDetails as ForwardClientCert,
  type HttpConnectionManagerSchema,
  HttpConnectionManager_ServerHeaderTransformation as ServerHeader,
} from '@seine/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager'
import { KEPT_CASE } from '../clusters/http-protocol.ts'
import type { Init } from '../init.ts'
import type { FilterChainContext } from '../plugin.ts'

type HcmInit = Init<typeof HttpConnectionManagerSchema>

/** What the mesh's settings make of headers, in a connection manager of a direction. */
export function headerFields(
  direction: FilterChainContext['direction'],
  { proxyHeaders, gatewayTopology }: ProxySettings,
): HcmInit {
  const isGateway = direction === 'gateway'
  const { server, requestId, xForwardedPort, preserveHttp1HeaderCase } = proxyHeaders ?? {}
  const trusted = isGateway ? gatewayTopology?.numTrustedProxies : undefined
  return {
    generateRequestId: !requestId?.disabled,
    // Who comes to a gateway may write what it likes into the headers that tell where a request came from.
    useRemoteAddress: isGateway,
    ...(trusted === undefined ? {} : { xffNumTrustedHops: trusted }),
    appendXForwardedPort: xForwardedPort?.enabled ?? false,
    ...(preserveHttp1HeaderCase ? { httpProtocolOptions: { headerKeyFormat: KEPT_CASE } } : {}),
    ...(server?.disabled
      ? { serverHeaderTransformation: ServerHeader.PASS_THROUGH }
      : { serverName: server?.value || 'istio-envoy' }),
    ...(direction === 'outbound' ? {} : clientCertificate(isGateway, proxyHeaders, gatewayTopology)),
  }
}

function clientCertificate(
  isGateway: boolean,
  headers: ProxySettings['proxyHeaders'],
  topology: ProxySettings['gatewayTopology'],
): HcmInit {
  const ofGateway = isGateway ? topology?.forwardClientCertDetails : undefined
  const said = [ofGateway, headers?.forwardedClientCert].find(one => one !== undefined && one !== 'UNDEFINED')
  const { subject, cert, chain, dns, uri } = headers?.setCurrentClientCertDetails ?? DETAILS
  return {
    forwardClientCertDetails: said === undefined ? ForwardClientCert.SANITIZE_SET : ForwardClientCert[said],
    setCurrentClientCertDetails: { subject, cert, chain, dns, uri },
  }
}

const DETAILS = { subject: true, cert: false, chain: false, dns: true, uri: true } as const

/** What becomes of paths before anything looks at them. */
export function pathFields({ pathNormalization: { normalization } }: MeshConfig): HcmInit {
  const decodes = normalization === 'DECODE_AND_MERGE_SLASHES'
  return {
    normalizePath: normalization !== 'NONE',
    mergeSlashes: decodes || normalization === 'MERGE_SLASHES',
    ...(decodes ? { pathWithEscapedSlashesAction: EscapedSlashes.UNESCAPE_AND_FORWARD } : {}),
  }
}
