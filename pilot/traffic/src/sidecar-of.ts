import type { Sidecar } from '@seine/api'
import { effectiveSidecar, type MeshSnapshot } from '@seine/model'
import type { Proxy } from './proxy.ts'

/** The Sidecar that holds for a proxy; gateways have none. */
export function sidecarOf(snapshot: MeshSnapshot, proxy: Proxy): Sidecar | undefined {
  return proxy.type === 'sidecar' ? effectiveSidecar(snapshot, proxy) : undefined
}
