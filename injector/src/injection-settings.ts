import type { MeshResource } from '@seine/api'
import { meshConfigOf } from '@seine/model'
import type { InjectOptions } from './inject-pod.ts'

/** What of a mesh's objects decides how pods are injected. */
export function injectionSettings(
  resources: readonly MeshResource[],
): Required<Pick<InjectOptions, 'mesh' | 'proxyConfigs'>> {
  return {
    mesh: meshConfigOf(resources),
    proxyConfigs: resources.filter(resource => resource.kind === 'ProxyConfig'),
  }
}
