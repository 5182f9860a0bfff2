import type { HubInputs, HubProxy, HubProxyConfig } from '@seine/insights'
import { errorMessage, type Logger, type Problem } from '@seine/kit'
import type { ReceivedSpan } from '@seine/mixer-telemetry'
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

/** Sends spans to a hub in another process; without one they are dropped, which is logged once. */
export function spansTo(
  hubUrl: string | undefined,
  logger: Logger,
): (spans: readonly ReceivedSpan[]) => void {
  if (!hubUrl) {
    logger.info('no hub is given: spans are received and dropped')
    return () => {}
  }
  return spans => {
    const body = JSON.stringify(spans)
    fetch(new URL('/api/v1/spans', hubUrl), {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    }).then(
      answer => {
        if (!answer.ok) logger.warn({ status: answer.status, hubUrl }, 'the hub refused spans')
      },
      failure => logger.warn({ reason: errorMessage(failure), hubUrl }, 'spans could not be sent to the hub'),
    )
  }
}
