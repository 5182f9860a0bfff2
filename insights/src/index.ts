export type * from './api-types.ts'
export { Hub, type HubOptions } from './hub.ts'
export type { HubInputs, HubObject, HubProxy, HubProxyConfig, HubResource, HubSpan } from './hub-inputs.ts'
