export type { ConfigSource, NodeInfo, ProxySession, ProxyView, PushHint } from './config-source.ts'
export { type Authenticate, type DiscoveryOptions, DiscoveryServer } from './discovery-server.ts'
export type { ProxyStatus, TypeStatus } from './proxy-status.ts'
