import { expect, test } from 'vitest'
import {
  countBy,
  describeMesh,
  destinationRule,
  documents,
  eventually,
  freshId,
  fromOutside,
  growthOf,
  type Outcome,
  PeerPort,
  type Pod,
  peerAuthentication,
  resource,
} from '../harness/index.ts'

/** Where the agent answers kubelets and scrapers. */
const AGENT_PORT = 15020
const REQUESTS = 'istio_requests_total'
const CLIENT_ID = 'spiffe://cluster.local/ns/shop/sa/client'
const ECHO_ID = 'spiffe://cluster.local/ns/shop/sa/echo'

describeMesh('mutual TLS', mesh => {
  const client = () => mesh().pod('client')
  const outsider = () => mesh().pod('outsider')
  const echo = () => mesh().pod('echo-v1')
  const strict = (name: string, namespace: string, spec: Record<string, unknown> = {}) =>
    peerAuthentication(namespace, name, { mtls: { mode: 'STRICT' }, ...spec })
  /** From a pod without a sidecar there are no names, and no addresses but the pods' own. */
  const plaintext = async (pod: Pod, port: number = PeerPort.http): Promise<Outcome> => {
    const [outcome] = await outsider().http(`http://${pod.ip}:${port}/`)
    if (outcome === undefined) throw new Error('no outcome')
    return outcome
  }
  const accepted = (outcome: Outcome) => expect([outcome.status, outcome.error]).toEqual([200, undefined])
  const refused = (outcome: Outcome) => expect(outcome.error).toMatch(/ECONNRESET|socket hang up/)
  const meshCalls = async () =>
    countBy(await client().http('http://echo/', { count: 12 }), ({ status }) => String(status))

  test('sidecars use it among themselves without being told to, and both say who they are', async () => {
    const label = {
      reporter: 'destination',
      connection_security_policy: 'mutual_tls',
      source_principal: CLIENT_ID,
      destination_principal: ECHO_ID,
      source_workload: 'client-v1',
    }
    const counted = await growthOf(echo(), REQUESTS, label)
    const answers = await client().http('http://echo/', { count: 30 })
    const own = answers.filter(({ echo: one }) => one?.version === 'v1')
    expect(own.length).toBeGreaterThan(0)
    for (const { echo: one } of own)
      expect(one?.headers['x-forwarded-client-cert']).toContain(`URI=${CLIENT_ID}`)
    await eventually(async () => expect(await counted()).toBe(own.length))
  })

  test('a caller cannot bring its own word about who it is', async () => {
    const forged = { 'x-forwarded-client-cert': 'URI=spiffe://cluster.local/ns/shop/sa/root' }
    const answer = await client().get('http://echo/', forged)
    expect(answer.echo?.headers['x-forwarded-client-cert']).not.toContain('sa/root')
    const [plain] = await outsider().http(`http://${echo().ip}:${PeerPort.http}/`, { headers: forged })
    expect(plain?.status).toBe(200)
    expect(plain?.echo?.headers['x-forwarded-client-cert']).toBeUndefined()
  })

  test('PERMISSIVE, the default, takes plaintext too, and says that it was', async () => {
    const label = { reporter: 'destination', connection_security_policy: 'none', source_principal: 'unknown' }
    const counted = await growthOf(echo(), REQUESTS, label)
    accepted(await plaintext(echo()))
    await eventually(async () => expect(await counted()).toBe(1))
    const [line] = await outsider().tcp(echo().ip, PeerPort.tcp)
    expect(line?.body).toMatch(/^echo-v1\/.* hello$/)
  })

  test('STRICT refuses plaintext, HTTP and TCP, and goes on taking the mesh’s calls', async () => {
    await mesh().apply('mtls', strict('default', 'shop'))
    await eventually(async () => refused(await plaintext(echo())))
    const [line] = await outsider().tcp(echo().ip, PeerPort.tcp)
    expect(line?.error).toMatch(/ECONNRESET|closed/)
    expect(await meshCalls()).toEqual({ 200: 12 })
    const [byMesh] = await client().tcp('echo', 9000)
    expect(byMesh?.body).toMatch(/hello$/)
    accepted(await plaintext(mesh().pod('visitor')))
  })

  test('STRICT lets a kubelet’s probes through, which the agent asks in its place', async () => {
    await mesh().apply('mtls', strict('default', 'shop'))
    await eventually(async () => refused(await plaintext(echo())))
    const probe = (path: string) =>
      fromOutside({ ip: echo().ip, port: AGENT_PORT, host: 'kubelet', path: `/app-health/peer/${path}` })
    expect(await probe('readyz')).toMatchObject({ status: 200, body: 'ok' })
    expect(await probe('livez')).toMatchObject({ status: 200, body: 'ok' })
    expect((await probe('startupz')).status).toBe(404)
  })

  test('STRICT for the whole mesh stands in the root namespace', async () => {
    await mesh().apply('mtls', strict('default', 'istio-system'))
    await eventually(async () => refused(await plaintext(echo())))
    await eventually(async () => refused(await plaintext(mesh().pod('visitor'))))
    expect(await meshCalls()).toEqual({ 200: 12 })
    await mesh().remove('mtls')
    await eventually(async () => accepted(await plaintext(echo())))
  })

  test('a workload’s policy comes before its namespace’s, and a port’s before that', async () => {
    await mesh().apply(
      'mtls',
      documents(
        strict('default', 'shop'),
        peerAuthentication('shop', 'echo-v2', {
          selector: { matchLabels: { app: 'echo', version: 'v2' } },
          mtls: { mode: 'PERMISSIVE' },
          portLevelMtls: { [PeerPort.tcp]: { mode: 'STRICT' } },
        }),
      ),
    )
    const second = mesh().pod('echo-v2')
    await eventually(async () => refused(await plaintext(echo())))
    await eventually(async () => accepted(await plaintext(second)))
    await eventually(async () => {
      const [line] = await outsider().tcp(second.ip, PeerPort.tcp)
      expect(line?.error).toMatch(/ECONNRESET|closed/)
    })
    expect(await meshCalls()).toEqual({ 200: 12 })
  })

  test('DISABLE takes plaintext only, and the mesh’s callers know', async () => {
    const http = { maxRequestsPerConnection: 1 }
    await mesh().apply(
      'mtls',
      documents(
        peerAuthentication('shop', 'default', { mtls: { mode: 'DISABLE' } }),
        // A connection for each request: none is left that was opened before.
        destinationRule('echo', { trafficPolicy: { connectionPool: { http } } }),
      ),
    )
    await eventually(async () => accepted(await plaintext(echo())))
    await eventually(async () => expect(await meshCalls()).toEqual({ 200: 12 }))
    const answer = await client().get('http://echo/')
    expect(answer.echo?.headers['x-forwarded-client-cert']).toBeUndefined()
    const [line] = await client().tcp('echo', 9000)
    expect(line?.body).toMatch(/hello$/)
  })

  test('a rule that makes callers send plaintext meets the server’s refusal', async () => {
    await mesh().apply(
      'mtls',
      documents(
        strict('default', 'shop'),
        destinationRule('echo', { trafficPolicy: { tls: { mode: 'DISABLE' } } }),
      ),
    )
    await eventually(async () => expect(await meshCalls()).toEqual({ 503: 12 }))
    await mesh().apply(
      'mtls',
      documents(
        strict('default', 'shop'),
        destinationRule('echo', { trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL' } } }),
      ),
    )
    await eventually(async () => expect(await meshCalls()).toEqual({ 200: 12 }))
  })

  test('a server with another identity than the rule asks for is refused', async () => {
    const tls = { mode: 'ISTIO_MUTUAL', subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/somebody-else'] }
    await mesh().apply('mtls', destinationRule('echo', { trafficPolicy: { tls } }))
    await eventually(async () => expect(await meshCalls()).toEqual({ 503: 12 }))
    const path = `/${freshId()}`
    expect((await client().get(`http://echo${path}`)).status).toBe(503)
    await eventually(async () => {
      const line = (await client().log('seine-proxy')).find(one => one.includes(path))
      expect(line).toContain('CERTIFICATE_VERIFY_FAILED')
    })
  })

  test('of endpoints with and without sidecars, each is called as it can be', async () => {
    const spec = (selector: Record<string, string>, clusterIP: string) => ({
      spec: {
        clusterIP,
        selector,
        ports: [
          { name: 'http', port: 80, targetPort: PeerPort.http },
          { name: 'tcp', port: 9000, targetPort: PeerPort.tcp },
        ],
      },
    })
    await mesh().apply(
      'mtls',
      documents(
        strict('default', 'shop'),
        resource('v1', 'Service', 'shop', 'mixed', spec({ tier: 'mixed' }, '10.96.1.50')),
        resource('v1', 'Service', 'shop', 'bare', spec({ app: 'bare' }, '10.96.1.51')),
      ),
    )
    const caller = async (host: string) =>
      countBy(
        await client().http(`http://${host}/`, { count: 30 }),
        ({ echo: one, status }) =>
          one &&
          `${one.app} ${one.headers['x-forwarded-client-cert']?.includes(CLIENT_ID) ?? 'plaintext'} ${status}`,
      )
    await eventually(async () =>
      expect(Object.keys(await caller('mixed')).sort()).toEqual(['bare plaintext 200', 'middle true 200']),
    )
    expect(await caller('bare')).toEqual({ 'bare plaintext 200': 30 })
    const lines = await client().tcp('mixed', 9000, { count: 20 })
    expect(Object.keys(countBy(lines, ({ body }) => body.split('/')[0])).sort()).toEqual([
      'bare-v1',
      'middle-v1',
    ])
  })

  test('a call to a pod’s own address passes, as what it is: plaintext', async () => {
    const answer = await client().get(`http://${echo().ip}:${PeerPort.http}/`)
    expect(answer.status).toBe(200)
    expect(answer.echo?.headers['x-forwarded-client-cert']).toBeUndefined()
  })
})
