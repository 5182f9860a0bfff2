import { imageTypeProblem } from '../networking/proxy-config.ts'
import { formatPath } from '../parse/field-path.ts'
import type { MeshConfig } from './mesh-config.ts'

/** What of the mesh's settings may be written down and has no effect: nobody is to believe that it has. */
export function meshConfigWarnings(config: MeshConfig): readonly { path: string; message: string }[] {
  const { defaultConfig, extensionProviders = [], defaultProviders } = config
  const used = Object.values(defaultProviders).flat()
  const unused = extensionProviders.flatMap(({ name }, index) =>
    used.includes(name)
      ? []
      : {
          path: formatPath(['extensionProviders', index]),
          message: `nothing uses the provider ${name}: it has no effect until defaultProviders names it`,
        },
  )
  const imageType = imageTypeProblem(defaultConfig.image?.imageType)
  return [
    ...unused,
    ...(imageType === undefined ? [] : [{ path: 'defaultConfig.image.imageType', message: imageType }]),
    ...(defaultConfig.discoveryAddress === undefined
      ? []
      : [
          {
            path: 'defaultConfig.discoveryAddress',
            message: `agents are told by the injector where the control plane is, so ${defaultConfig.discoveryAddress} is not called: a pod's annotation proxy.istio.io/config can name an address of its own`,
          },
        ]),
    ...(defaultConfig.tracing.zipkin === undefined
      ? []
      : [
          {
            path: 'defaultConfig.tracing.zipkin',
            message: `spans go over OTLP, so ${defaultConfig.tracing.zipkin.address} gets none`,
          },
        ]),
  ]
}
