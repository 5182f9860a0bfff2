import type { MeshConfig, MeshResource } from '@seine/api'

/** Where objects hold that do not say it, by the mesh's settings. */
export type ExportDefaults = Pick<
  MeshConfig,
  'defaultServiceExportTo' | 'defaultVirtualServiceExportTo' | 'defaultDestinationRuleExportTo'
>

const ANNOTATION = 'networking.istio.io/exportTo'

/**
 * An object that says where it holds: itself where it does so, or where the mesh's settings leave it at everywhere,
 * which is what an object without a word means.
 */
export function withExportTo<R extends MeshResource>(resource: R, defaults: ExportDefaults): R {
  const scopes = scopesFor(resource, defaults)
  if (!scopes || scopes.includes('*')) return resource
  if (resource.kind !== 'Service') return { ...resource, spec: { ...resource.spec, exportTo: scopes } }
  const annotations = { ...resource.metadata.annotations, [ANNOTATION]: scopes.join() }
  return { ...resource, metadata: { ...resource.metadata, annotations } }
}

/** Whether defaults say the same. */
export function sameExportDefaults(a: ExportDefaults, b: ExportDefaults): boolean {
  const text = (one: ExportDefaults) =>
    JSON.stringify([
      one.defaultServiceExportTo,
      one.defaultVirtualServiceExportTo,
      one.defaultDestinationRuleExportTo,
    ])
  return text(a) === text(b)
}

/** What the settings say of an object; undefined where it says it itself. */
function scopesFor(resource: MeshResource, defaults: ExportDefaults): readonly string[] | undefined {
  switch (resource.kind) {
    case 'Service':
      return resource.metadata.annotations[ANNOTATION] === undefined
        ? defaults.defaultServiceExportTo
        : undefined
    case 'ServiceEntry':
      return resource.spec.exportTo?.length ? undefined : defaults.defaultServiceExportTo
    case 'VirtualService':
      return resource.spec.exportTo?.length ? undefined : defaults.defaultVirtualServiceExportTo
    case 'DestinationRule':
      return resource.spec.exportTo?.length ? undefined : defaults.defaultDestinationRuleExportTo
    default:
      return undefined
  }
}
