import { authorizationPlugin } from '@seine/mixer-policy'
import { accessLogPlugin, metricsPlugin, tracingPlugin } from '@seine/mixer-telemetry'
import type { TrafficPlugin } from '@seine/pilot-traffic'

/**
 * The plugins of the renderer, in the order of their filters: the same table as seined's, so that `render`
 * shows what a proxy is served.
 */
export const plugins: readonly TrafficPlugin[] = [
  authorizationPlugin, // first of the filters: what is refused costs nothing further
  metricsPlugin,
  accessLogPlugin,
  tracingPlugin,
]
