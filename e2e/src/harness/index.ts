export { eventually, hasLabels, parsePrometheus, type Sample, sumOf } from '@seine/testing'
export { Ask, type Echo, type Outcome, PeerPort } from '../apps/protocol.ts'
export { type Ran, run } from './command.ts'
export { freshId, growthOf, seenBy } from './counting.ts'
export { DemoProcess, type MeshPlace, ROOT } from './demo-process.ts'
export { startDnsServer } from './dns-server.ts'
export {
  type EdgeRequest,
  fromOutside,
  handshakeFromOutside,
  lineFromOutside,
  tlsLineFromOutside,
  upgradeFromOutside,
} from './edge.ts'
export type { HubProblem, HubProxy, HubSpan, HubWorkload } from './hub.ts'
export { Hub } from './hub.ts'
export { MachineWorkload } from './machine-workload.ts'
export { type ApplyOptions, Mesh, meshRuns, sharedMesh } from './mesh.ts'
export {
  type CertificateFacts,
  publicKeyOf,
  readCertificate,
  sClient,
  selfSigned,
  shownCertificates,
} from './openssl.ts'
export { type Answer, Pod } from './pod.ts'
export * from './resources.ts'
export { SEINECTL, seinectl } from './seinectl.ts'
export { countBy, expectShare } from './shares.ts'
export { describeMesh } from './suite.ts'
