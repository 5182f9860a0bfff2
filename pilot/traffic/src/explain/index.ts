export type { ExplainedEndpoint } from './clusters.ts'
export { type ProxyConfiguration, readConfiguration } from './configuration.ts'
export {
  explainAtGateway,
  explainInbound,
  explainOutbound,
  type GatewayQuestion,
  type InboundQuestion,
  type OutboundQuestion,
} from './explain.ts'
export type { Explanation, Step, Target, Verdict } from './explanation.ts'
export type { HttpRequest, Peer, TcpConnection, Traffic } from './request.ts'
