import type { MeshService } from '@seine/model'

const known = new WeakMap<MeshService, MeshService>()

/**
 * A service as gateways call it; the same object each time. A client's connection to a gateway says nothing of where the
 * gateway is to connect to: one of the endpoints is chosen, also for a service whose clients choose by themselves, as
 * those of a headless one do.
 */
export function serviceOfGateways(service: MeshService): MeshService {
  if (service.resolution !== 'passthrough') return service
  const found = known.get(service) ?? { ...service, resolution: 'static' }
  known.set(service, found)
  return found
}
