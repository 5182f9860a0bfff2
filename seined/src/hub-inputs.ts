import type { HubInputs, HubProxy, HubProxyConfig } from '@seine/insights'
import { errorMessage, type Problem } from '@seine/kit'
import type { MeshModel } from '@seine/model'
import type { Pilot } from './pilot.ts'
import { ENVOY_RELEASE, type SeinedSettings, VERSION } from './settings.ts'

const CALL_TIMEOUT_MS = 5000

/** What the hub reads when pilot runs in the same process. */
export function localInputs(pilot: Pilot, { configFolders }: SeinedSettings): HubInputs {
  return {
    snapshot: () => pilot.snapshot,
    resources: () => pilot.resources,
    problems: async () => pilot.problems,
    proxies: async () => pilot.proxies(),
    proxyConfig: async id => pilot.configurationOf(id),
    version: VERSION,
    envoyVersion: ENVOY_RELEASE,
    configFolders,
  }
}

/** What the hub reads when pilot runs elsewhere: configuration from its own source, proxies from pilot's HTTP port. */
export function remoteInputs(
  model: MeshModel,
  pilotUrl: string,
  { configFolders }: SeinedSettings,
): HubInputs {
  const ask = async (path: string): Promise<unknown> => {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS)
    const answer = await fetch(new URL(path, pilotUrl), { signal }).catch((failure: unknown) => {
      throw new PilotAway(`pilot does not answer at ${pilotUrl}: ${errorMessage(failure)}`)
    })
    if (answer.status === 404) return undefined
    if (!answer.ok) throw new PilotAway(`pilot at ${pilotUrl} answered ${answer.status} for ${path}`)
    return answer.json()
  }
  return {
    snapshot: () => model.snapshot,
    resources: () => model.resources.values(),
    problems: async () => ((await ask('/debug/problems')) ?? []) as readonly Problem[],
    proxies: async () => ((await ask('/debug/syncz')) ?? []) as readonly HubProxy[],
    proxyConfig: async id =>
      (await ask(`/debug/config?proxyID=${encodeURIComponent(id)}`)) as HubProxyConfig | undefined,
    version: VERSION,
    envoyVersion: ENVOY_RELEASE,
    configFolders,
  }
}

/** The hub's HTTP server answers with the status. */
class PilotAway extends Error {
  readonly statusCode = 503
}
