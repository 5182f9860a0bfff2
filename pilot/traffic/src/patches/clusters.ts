import { clone } from '@bufbuild/protobuf'
import { type Cluster, ClusterSchema } from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { partsOfCluster } from '../names.ts'
import { type Journal, withCauses } from './journal.ts'
import { mergedSocket } from './listeners.ts'
import { merge, mergesLists, type Patch } from './patch.ts'

/**
 * Applies patches to a cluster. `hosts` are those of the services that it is for.
 *
 * @returns undefined where one of them removes it.
 */
export function patchCluster(
  cluster: Cluster,
  patches: readonly Patch[],
  hosts: readonly string[],
  journal: Journal,
): Cluster | undefined {
  const applied: Patch[] = []
  for (const patch of patches) {
    if (patch.applyTo !== 'CLUSTER' || !matchesCluster(cluster.name, patch, hosts)) continue
    if (patch.operation === 'REMOVE') {
      journal.note(patch, true)
      return undefined
    }
    if (journal.note(patch, mergeCluster(patch, cluster))) applied.push(patch)
  }
  const metadata = withCauses(cluster.metadata, applied)
  if (metadata) cluster.metadata = metadata
  return cluster
}

/** A transport socket is merged into that of its name, of those that endpoints are told apart by the first. */
function mergeCluster(patch: Patch, cluster: Cluster): boolean {
  const value = patch.value as Cluster | undefined
  if (!mergesLists(patch) || !value) return false
  const { transportSocket } = value
  const rest = clone(ClusterSchema, value)
  delete rest.transportSocket
  merge({ ...patch, value: rest }, cluster)
  if (!transportSocket) return true
  const matched = cluster.transportSocketMatches.find(
    one => one.transportSocket?.name === transportSocket.name,
  )
  if (matched) {
    const socket = mergedSocket(matched.transportSocket, transportSocket)
    if (socket) matched.transportSocket = socket
  } else if (cluster.transportSocketMatches.length === 0) {
    const socket = mergedSocket(cluster.transportSocket, transportSocket)
    if (socket) cluster.transportSocket = socket
  }
  return true
}

/**
 * Whether a patch is about the cluster of a name: `outbound|80|v1|reviews.default.svc.cluster.local`, `inbound|8080||`, or
 * `outbound_.80_.v1_.reviews.default.svc.cluster.local` at a gateway between networks.
 */
export function matchesCluster(name: string, { match }: Patch, hosts: readonly string[]): boolean {
  const wanted = match.cluster
  if (!wanted) return true
  if (wanted.name) return wanted.name === name
  const [direction, port = '', subset = '', host = ''] = partsOfCluster(name)
  const served = direction === 'inbound' ? hosts : [host]
  return (
    (!wanted.subset || wanted.subset === subset) &&
    (!wanted.service || served.includes(wanted.service)) &&
    (!wanted.portNumber || String(wanted.portNumber) === port)
  )
}
