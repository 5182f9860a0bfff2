import type { HubInputs, HubProxy, HubProxyConfig } from '@seine/insights'
import { errorMessage, type Problem } from '@seine/kit'
import type { MeshModel } from '@seine/model'
import type { Pilot } from './pilot.ts'
import { ENVOY_RELEASE, type SeinedSettings, VERSION } from './settings.ts'

const CALL_TIMEOUT_MS = 5000
const MAX_QUOTED = 200

/** What the hub reads when pilot runs in the same process. */
export function localInputs(pilot: Pilot, { configFolders }: SeinedSettings): HubInputs {
  return {
    snapshot: () => pilot.snapshot,
    resources: () => pilot.resources,
    problems: async () => pilot.problems,
    findings: async () => pilot.findings,
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
  const ask = async (path: string): Promise<Response> => {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS)
    return fetch(new URL(path, pilotUrl), { signal }).catch((failure: unknown) => {
      throw new PilotAway(`pilot does not answer at ${pilotUrl}: ${errorMessage(failure)}`)
    })
  }
  const read = async (path: string, answer: Response): Promise<unknown> => {
    if (answer.ok) return answer.json()
    const said = (await answer.text()).slice(0, MAX_QUOTED)
    throw new PilotAway(`pilot at ${pilotUrl} answered ${answer.status} for ${path}: ${said}`)
  }
  const get = async (path: string) => read(path, await ask(path))
  return {
    snapshot: () => model.snapshot,
    resources: () => model.resources.values(),
    problems: async () => (await get('/debug/problems')) as readonly Problem[],
    findings: async () => (await get('/debug/findings')) as readonly Problem[],
    proxies: async () => (await get('/debug/syncz')) as readonly HubProxy[],
    proxyConfig: async id => {
      const path = `/debug/config?proxyID=${encodeURIComponent(id)}`
      const answer = await ask(path)
      if (answer.status !== 404) return (await read(path, answer)) as HubProxyConfig
      await answer.body?.cancel()
      return undefined
    },
    version: VERSION,
    envoyVersion: ENVOY_RELEASE,
    configFolders,
  }
}

/** The hub's HTTP server answers with the status. */
class PilotAway extends Error {
  readonly statusCode = 503
}
