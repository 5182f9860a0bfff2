import type { HubInputs, HubObject, HubProxy, HubProxyConfig } from '@seine/insights'
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
    objects: async () => pilot.objects(),
    proxyConfig: async id => pilot.configurationOf(id),
    version: VERSION,
    envoyVersion: ENVOY_RELEASE,
    configFolders,
  }
}

/** What a pilot elsewhere answers at its HTTP port. */
export interface RemotePilot {
  /** Rejects with what the hub's callers are told when it does not answer. */
  get(path: string): Promise<unknown>
  /** Undefined where there is nothing of that name. */
  find(path: string): Promise<unknown>
}

/** A pilot elsewhere, by the URL of its HTTP port. */
export function remotePilot(pilotUrl: string): RemotePilot {
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
  return {
    get: async path => read(path, await ask(path)),
    find: async path => {
      const answer = await ask(path)
      if (answer.status !== 404) return read(path, answer)
      await answer.body?.cancel()
      return undefined
    },
  }
}

/** What the hub reads when pilot runs elsewhere: configuration from its own source, proxies from pilot's HTTP port. */
export function remoteInputs(
  model: MeshModel,
  pilot: RemotePilot,
  { configFolders }: SeinedSettings,
): HubInputs {
  return {
    snapshot: () => model.snapshot,
    resources: () => model.resources.values(),
    problems: async () => (await pilot.get('/debug/problems')) as readonly Problem[],
    findings: async () => (await pilot.get('/debug/findings')) as readonly Problem[],
    proxies: async () => (await pilot.get('/debug/syncz')) as readonly HubProxy[],
    objects: async () => (await pilot.get('/debug/objects')) as readonly HubObject[],
    proxyConfig: async id =>
      (await pilot.find(`/debug/config?proxyID=${encodeURIComponent(id)}`)) as HubProxyConfig | undefined,
    version: VERSION,
    envoyVersion: ENVOY_RELEASE,
    configFolders,
  }
}

/** The hub's HTTP server answers with the status. */
class PilotAway extends Error {
  readonly statusCode = 503
}
