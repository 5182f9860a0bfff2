export {
  type ConfigSource,
  HEALTH_TYPE,
  type NodeInfo,
  type ProxySession,
  type ProxyView,
  type PushHint,
} from './config-source.ts'
export { type Authenticate, type DiscoveryOptions, DiscoveryServer } from './discovery-server.ts'
export type { ProxyStatus, TypeStatus } from './proxy-status.ts'
