import { MeshModel } from '@seine/model'
import { objectYaml, podYaml, resourcesOf, serviceYaml } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import type { ApiTypeStatus } from './api-types.ts'
import { Crashes } from './crashes.ts'
import type { HubProxy, HubProxyConfig } from './hub-inputs.ts'
import { indexOf } from './mesh-index.ts'
import { rejectionProblems, sidecarProblems } from './problems.ts'
import type { SidecarState } from './scraper.ts'
import { byKey } from './views.ts'

const RESOURCES = resourcesOf(
  serviceYaml('web'),
  podYaml('web-1', '10.1.0.1'),
  podYaml('web-2', '10.1.0.2', { ready: false }),
  podYaml('plain', '10.1.0.3', { meshed: false, ready: false }),
  objectYaml('networking.istio.io/v1', 'DestinationRule', 'web', { host: 'web' }),
)
const { snapshot } = new MeshModel().apply({ upserts: RESOURCES, deletes: [] })
const NOW = Date.UTC(2026, 0, 1)

const proxy = (pod: string, types: Record<string, ApiTypeStatus> = {}): HubProxy => ({
  id: `sidecar~10.1.0.1~${pod}.default~default.svc.cluster.local`,
  protocol: 'delta',
  connectedAt: 1,
  types,
})
const certificate = (state: 'valid' | 'overdue' | 'expired') => ({
  identity: 'spiffe://x',
  serial: '1',
  notAfter: NOW,
  state,
})
const WELL: SidecarState = {
  certificate: certificate('valid'),
  isRead: true,
  error: undefined,
  waitsFor: undefined,
}

function told(
  states: Readonly<Record<string, Partial<SidecarState>>>,
  proxies = [proxy('web-1'), proxy('web-2')],
) {
  return sidecarProblems({
    index: indexOf(snapshot),
    proxies,
    stateOf: pod => ({ ...WELL, ...states[pod] }),
    crashes: new Crashes(),
    now: NOW,
  }).map(({ severity, code, message, resource }) => `${severity} ${code} ${resource?.name}: ${message}`)
}

const WAITS = 'warning not-ready web-2: it gets no calls, for it is not ready'

describe('problems of sidecars', () => {
  it('are none where all is well but what is not ready', () => {
    expect(told({})).toEqual([WAITS])
  })

  it('say what a workload waits for, or why that is not known', () => {
    expect(told({ 'default/web-2': { waitsFor: 'no name table yet' } })).toEqual([
      `${WAITS}: no name table yet`,
    ])
    expect(told({ 'default/web-2': { error: 'connect ECONNREFUSED' } })).toEqual([
      `${WAITS}: its sidecar can't be asked: connect ECONNREFUSED`,
    ])
  })

  it('are missing connections, figures and certificates', () => {
    const [connection, figures, ...others] = told({ 'default/web-1': { error: 'no answer' } }, [])
    expect(connection).toMatch(/^warning proxy-not-connected web-1: /)
    expect(figures).toBe('warning metrics-unreadable web-1: its figures are missing: no answer')
    expect(others).toEqual([WAITS])
    const none = { certificate: undefined, waitsFor: 'no certificate yet: the token is not valid' }
    expect(told({ 'default/web-2': none })).toEqual([
      `${WAITS}: no certificate yet: the token is not valid`,
      'error no-certificate web-2: its sidecar has no certificate: no certificate yet: the token is not valid',
    ])
    expect(told({ 'default/web-1': { certificate: undefined, isRead: false } })).toEqual([WAITS])
  })

  it('are certificates that end', () => {
    expect(told({ 'default/web-1': { certificate: certificate('overdue') } })[0]).toMatch(
      /^warning certificate-expiring web-1: its certificate ends at 2026-01-01T00:00:00.000Z /,
    )
    expect(told({ 'default/web-1': { certificate: certificate('expired') } })[0]).toMatch(
      /^error certificate-expired web-1: its certificate ended at 2026-01-01T00:00:00.000Z/,
    )
  })
})

describe('rejections', () => {
  const nacked = (message: string, resources: string[]): ApiTypeStatus => ({
    resources: 3,
    state: 'NACKED',
    nack: { at: 1, message, resources },
  })
  const cluster = 'outbound|80||web.default.svc.cluster.local'
  const configuration = (provenance: HubProxyConfig['clusters'][number]['provenance']): HubProxyConfig => ({
    listeners: [],
    routes: [],
    clusters: [{ name: cluster, version: '1', provenance, config: {} }],
    endpoints: [],
    extensions: [],
  })
  const problems = (proxies: HubProxy[], config?: HubProxyConfig) =>
    rejectionProblems({ proxies, resources: byKey(RESOURCES), proxyConfig: async () => config })

  it('lead to the object, field and line that they came from', async () => {
    const provenance = [
      { kind: 'Service', namespace: 'default', name: 'web' },
      { kind: 'DestinationRule', namespace: 'default', name: 'web', path: 'spec.host' },
    ]
    const [problem] = await problems(
      [proxy('web-1', { CDS: nacked('bad ring', [cluster]) })],
      configuration(provenance),
    )
    expect(problem).toEqual({
      severity: 'error',
      code: 'rejected-by-envoy',
      message: `Envoy of default/web-1 rejected CDS ${cluster}: bad ring; what was in force before stays`,
      resource: { kind: 'DestinationRule', namespace: 'default', name: 'web' },
      path: 'spec.host',
      position: expect.objectContaining({ file: 'test.yaml', line: expect.any(Number) }),
    })
  })

  it('are told once for all Envoys that give the same reason', async () => {
    const proxies = ['web-1', 'web-2'].map(pod =>
      proxy(pod, { CDS: nacked('bad ring', ['a', 'b', 'c', 'd', 'e']) }),
    )
    const other = proxy('web-3', { LDS: nacked('bad port', ['l']) })
    const messages = (await problems([...proxies, other])).map(({ message }) => message)
    expect(messages).toEqual([
      '2 Envoys, default/web-1 among them, rejected CDS a, b, c and 2 more: bad ring; what was in force before stays',
      'Envoy of default/web-3 rejected LDS l: bad port; what was in force before stays',
    ])
  })

  it('are about the pod where nothing more is known', async () => {
    const [problem] = await problems([proxy('web-1', { 'name table': nacked('what', ['x']) })])
    expect(problem?.resource).toEqual({ kind: 'Pod', namespace: 'default', name: 'web-1' })
    expect(await problems([proxy('web-1')])).toEqual([])
  })
})
