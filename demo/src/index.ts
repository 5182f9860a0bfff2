export { measureWorkload, parseSamples, type Sample } from './measure.ts'
export type { Report } from './report.ts'
export { AddressPool, POD_NETWORK } from './runtime/addresses.ts'
export { expandDeployment, type PlannedPod } from './runtime/expand.ts'
export { readManifests } from './runtime/manifests.ts'
export { namespaceOf } from './runtime/network.ts'
export { type Machine, PodRunner, type RunnablePod } from './runtime/pod.ts'
export { type Inject, LocalRuntime } from './runtime/runtime.ts'
export {
  createTokenIssuer,
  TOKEN_AUDIENCE,
  TOKEN_ISSUER,
  type TokenIssuer,
  type TokenSubject,
} from './runtime/tokens.ts'
