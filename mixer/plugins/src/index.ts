import { authorizationPlugin } from '@seine/mixer-policy'
import { accessLogPlugin, metricsPlugin, tracingPlugin } from '@seine/mixer-telemetry'
import type { TrafficPlugin } from '@seine/pilot-traffic'

/**
 * What Mixer adds to every proxy, in the order of the filters. The control plane and `seinectl render` take
 * the same table, so that what is rendered is what is served.
 */
export const mixerPlugins: readonly TrafficPlugin[] = [
  metricsPlugin, // first: who called is known before anything is refused, so that refusals are labelled too
  authorizationPlugin, // before the router: what is refused reaches no application
  accessLogPlugin,
  tracingPlugin,
]
