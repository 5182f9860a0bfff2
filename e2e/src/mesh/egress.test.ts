import { expect, test } from 'vitest'
import {
  describeMesh,
  destinationRule,
  documents,
  eventually,
  growthOf,
  meshConfig,
  PeerPort,
  resource,
  selfSigned,
  serviceEntry,
  startDnsServer,
} from '../harness/index.ts'

const REQUESTS = 'istio_requests_total'

describeMesh('traffic that leaves the mesh', mesh => {
  const client = () => mesh().pod('client')
  const external = () => mesh().pod('external')
  const entry = (host: string, spec: Record<string, unknown>) =>
    serviceEntry(host, {
      hosts: [host],
      location: 'MESH_EXTERNAL',
      ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: PeerPort.http }],
      ...spec,
    })
  const statically = (host: string, spec: Record<string, unknown> = {}) =>
    entry(host, { resolution: 'STATIC', endpoints: [{ address: external().ip }], ...spec })
  const appOf = async (url: string, headers: Record<string, string> = {}) => {
    const answer = await client().get(url, headers)
    return answer.echo?.app ?? answer.error ?? answer.status
  }

  /** What the client's resolver says. Names reach the agents beside what the proxies acknowledge. */
  const addressOf = async (host: string) => {
    const { addresses, error } = await client().lookup(host)
    return addresses?.join() ?? error
  }

  test('a ServiceEntry gives an external server a name, an address and metrics', async () => {
    await mesh().apply('egress', statically('quotes.example.com', { addresses: ['10.96.200.1'] }))
    await eventually(async () => expect(await addressOf('quotes.example.com')).toBe('10.96.200.1'))
    const counted = await growthOf(client(), REQUESTS, {
      reporter: 'source',
      destination_service: 'quotes.example.com',
      destination_service_name: 'quotes.example.com',
      destination_workload: 'unknown',
      response_code: '200',
    })
    const answer = await client().get('http://quotes.example.com/today?x=1')
    expect([answer.echo?.app, answer.echo?.path]).toEqual(['external', '/today?x=1'])
    expect(answer.echo?.headers['host']).toBe('quotes.example.com')
    await eventually(async () => expect(await counted()).toBe(1))
  })

  test('an entry without addresses gets one that is its own', async () => {
    await mesh().apply('egress', documents(statically('one.example.com'), statically('two.example.com')))
    const virtual = (host: string) =>
      eventually(async () => {
        const address = await addressOf(host)
        expect(address).toMatch(/^240\.240\./)
        return address
      })
    expect(await virtual('one.example.com')).not.toBe(await virtual('two.example.com'))
    expect(await appOf('http://one.example.com/')).toBe('external')
    expect(await appOf('http://two.example.com/')).toBe('external')
  })

  test('a TCP entry goes by its address', async () => {
    await mesh().apply(
      'egress',
      statically('db.example.com', {
        ports: [{ number: 7000, name: 'tcp', protocol: 'TCP', targetPort: PeerPort.tcp }],
      }),
    )
    const opened = await growthOf(client(), 'istio_tcp_connections_opened_total', {
      reporter: 'source',
      destination_service: 'db.example.com',
    })
    const [line] = await client().tcp('db.example.com', 7000)
    expect(line?.body).toMatch(/^external-v1\/.* hello$/)
    await eventually(async () => expect(await opened()).toBe(1))
  })

  test('DNS: the sidecar looks up what the entry names, the host itself or its endpoints', async () => {
    const dns = await startDnsServer({
      'plain.example.com': external().ip,
      'backend.example.net': external().ip,
    })
    try {
      await mesh().apply(
        'egress',
        documents(
          entry('plain.example.com', { resolution: 'DNS' }),
          entry('front.example.com', { resolution: 'DNS', endpoints: [{ address: 'backend.example.net' }] }),
        ),
      )
      await eventually(async () => expect(await appOf('http://plain.example.com/')).toBe('external'))
      await eventually(async () => expect(await appOf('http://front.example.com/')).toBe('external'))
      expect([...dns.asked].sort()).toEqual(
        expect.arrayContaining(['backend.example.net', 'plain.example.com']),
      )
    } finally {
      await dns.close()
    }
  })

  test('DYNAMIC_DNS: any name that a wildcard covers is captured, and looked up as it is called', async () => {
    const dns = await startDnsServer({
      'a.wild.example.com': external().ip,
      'b.c.wild.example.com': external().ip,
    })
    try {
      const { key, cert } = await selfSigned('a.wild.example.com')
      await external().serveTls(key, cert)
      await mesh().apply(
        'egress',
        serviceEntry('wild.example.com', {
          hosts: ['*.wild.example.com'],
          resolution: 'DYNAMIC_DNS',
          ports: [
            { number: 80, name: 'http', protocol: 'HTTP', targetPort: PeerPort.http },
            { number: 443, name: 'tls', protocol: 'TLS', targetPort: PeerPort.tls },
          ],
        }),
      )
      await eventually(async () => expect(await addressOf('a.wild.example.com')).toMatch(/^240\.240\./))
      // The agents' names come apart from the proxies' ports; then the first request to each name succeeds.
      expect(await appOf('http://a.wild.example.com/')).toBe('external')
      expect(await appOf('http://b.c.wild.example.com/')).toBe('external')
      expect(await appOf('http://missing.wild.example.com/')).toBe(503)
      const [answer] = await client().tls({
        host: 'a.wild.example.com',
        port: 443,
        serverName: 'a.wild.example.com',
        line: 'secret',
      })
      expect([answer?.error, answer?.body]).toEqual([undefined, expect.stringMatching(/ secret$/)])
      expect([...dns.asked]).toEqual(expect.arrayContaining(['a.wild.example.com', 'b.c.wild.example.com']))
    } finally {
      await dns.close()
    }
  })

  test('names of the world outside are asked for outside', async () => {
    const dns = await startDnsServer({ 'unlisted.example.com': external().ip })
    try {
      expect((await client().lookup('unlisted.example.com')).addresses).toEqual([external().ip])
      expect((await client().lookup('missing.example.com')).error).toMatch(/ENOTFOUND/)
      expect(dns.asked).toContain('unlisted.example.com')
    } finally {
      await dns.close()
    }
  })

  test('ALLOW_ANY, the default, lets unknown hosts pass', async () => {
    const label = { reporter: 'source', destination_service_name: 'PassthroughCluster' }
    const counted = await growthOf(client(), 'istio_tcp_connections_opened_total', label)
    expect(await appOf(`http://${external().ip}:${PeerPort.http}/`)).toBe('external')
    await eventually(async () => expect(await counted()).toBe(1))
    const [line] = await client().tcp(external().ip, PeerPort.tcp)
    expect(line?.body).toMatch(/^external-v1/)
    const { key, cert } = await selfSigned('unlisted.example.com')
    await external().serveTls(key, cert)
    const tls = {
      host: external().ip,
      port: PeerPort.tls,
      serverName: 'unlisted.example.com',
      line: 'secret',
    }
    const [secret] = await client().tls(tls)
    expect([secret?.peerName, secret?.body]).toEqual([
      'unlisted.example.com',
      expect.stringMatching(/ secret$/),
    ])
  })

  test('REGISTRY_ONLY refuses unknown hosts, and serves known ones as before', async () => {
    await mesh().apply(
      'egress',
      documents(
        meshConfig({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }),
        statically('quotes.example.com', { addresses: ['10.96.200.1'] }),
      ),
    )
    const blocked = await growthOf(client(), REQUESTS, {
      reporter: 'source',
      destination_service_name: 'BlackHoleCluster',
      response_code: '502',
    })
    await eventually(async () =>
      expect(await appOf(`http://${external().ip}/`, { host: 'unknown.example.com' })).toBe(502),
    )
    await eventually(async () => expect(await blocked()).toBe(1))
    await eventually(async () =>
      expect(await appOf(`http://${external().ip}:${PeerPort.http}/`)).toMatch(/ECONNRESET/),
    )
    const [line] = await client().tcp(external().ip, PeerPort.tcp)
    expect(line?.error).toMatch(/ECONNRESET|closed/)
    expect(await appOf('http://quotes.example.com/')).toBe('external')
    expect(await appOf('http://echo/')).toBe('echo')
    expect(await appOf('http://front.shop.svc.cluster.local/')).toBe('front')
    const [own] = await client().tcp('echo', 9000)
    expect(own?.body).toMatch(/^echo-/)
  })

  test('taking REGISTRY_ONLY back opens the way again', async () => {
    await mesh().apply('egress', meshConfig({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }))
    const url = `http://${external().ip}:${PeerPort.http}/`
    await eventually(async () => expect(await appOf(url)).toMatch(/ECONNRESET/))
    await mesh().remove('egress')
    await eventually(async () => expect(await appOf(url)).toBe('external'))
  })

  test('TLS of the application’s own passes as it is, by the entry’s address', async () => {
    const { key, cert } = await selfSigned('secure.example.com')
    await external().serveTls(key, cert)
    await mesh().apply(
      'egress',
      statically('secure.example.com', {
        ports: [{ number: 443, name: 'tls', protocol: 'TLS', targetPort: PeerPort.tls }],
      }),
    )
    const [answer] = await client().tls({
      host: 'secure.example.com',
      port: 443,
      serverName: 'secure.example.com',
      line: 'secret',
    })
    expect(answer?.error).toBeUndefined()
    expect(answer?.peerName).toBe('secure.example.com')
    expect(answer?.body).toMatch(/^external-v1\/.* secret$/)
  })

  test('a Secret of the client’s namespace says whom the sidecar trusts, and what it says last counts', async () => {
    const [trusted, other] = await Promise.all(['secure.example.com', 'secure.example.com'].map(selfSigned))
    if (!trusted || !other) throw new Error('no certificates')
    await external().serveTls(trusted.key, trusted.cert)
    const secret = (namespace: string, root: string) =>
      resource('v1', 'Secret', namespace, 'partner', { stringData: { 'ca.crt': root } })
    const ports = [{ number: 9443, name: 'tcp', protocol: 'TCP', targetPort: PeerPort.tls }]
    const tls = { mode: 'SIMPLE', credentialName: 'partner' }
    const rule = destinationRule('secure.example.com', { subsets: [], trafficPolicy: { tls } })
    const entryText = statically('secure.example.com', { ports })
    const lines = async () => {
      const [outcome] = await client().tcp('secure.example.com', 9443, { line: 'plain' })
      return outcome?.body || outcome?.error
    }
    // The namespace of somebody else has the right one.
    const apply = (root: string) =>
      mesh().apply('egress', documents(entryText, rule, secret('other', trusted.cert), secret('shop', root)))
    await apply(trusted.cert)
    await eventually(async () => expect(await lines()).toMatch(/^external-v1\/.* plain$/))
    await apply(other.cert)
    await eventually(async () => expect(await lines()).toMatch(/ECONNRESET|closed/))
    await apply(trusted.cert)
    await eventually(async () => expect(await lines()).toMatch(/^external-v1\/.* plain$/))
  })

  test('a DestinationRule has the sidecar speak TLS for an application that does not', async () => {
    const { key, cert } = await selfSigned('secure.example.com')
    await external().serveTls(key, cert)
    const ports = [{ number: 9443, name: 'tcp', protocol: 'TCP', targetPort: PeerPort.tls }]
    const rule = (tls: Record<string, unknown>) =>
      destinationRule('secure.example.com', { subsets: [], trafficPolicy: { tls } })
    const entryText = statically('secure.example.com', { ports })
    await mesh().apply('egress', documents(entryText, rule({ mode: 'SIMPLE', insecureSkipVerify: true })))
    const lines = async () => {
      const [outcome] = await client().tcp('secure.example.com', 9443, { line: 'plain' })
      return outcome?.body || outcome?.error
    }
    await eventually(async () => expect(await lines()).toMatch(/^external-v1\/.* plain$/))
    // Nobody that the system trusts has signed this certificate.
    await mesh().apply('egress', documents(entryText, rule({ mode: 'SIMPLE' })))
    await eventually(async () => expect(await lines()).toMatch(/closed|ECONNRESET/))
  })

  test('an entry that is exported to its own namespace is unknown elsewhere', async () => {
    await mesh().apply('egress', statically('private.example.com', { exportTo: ['.'] }))
    await eventually(async () => expect(await addressOf('private.example.com')).toMatch(/^240\.240\./))
    expect((await mesh().pod('visitor').lookup('private.example.com')).error).toMatch(/ENOTFOUND|EAI_AGAIN/)
  })

  test('an entry inside the mesh selects workloads by label', async () => {
    const spec = {
      hosts: ['picked.example.com'],
      location: 'MESH_INTERNAL',
      resolution: 'STATIC',
      ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: PeerPort.http }],
      workloadSelector: { labels: { app: 'middle' } },
    }
    await mesh().apply(
      'egress',
      resource('networking.istio.io/v1', 'ServiceEntry', 'shop', 'picked', { spec }),
    )
    const answer = await client().get('http://picked.example.com/')
    expect(answer.echo?.app).toBe('middle')
    expect(answer.echo?.headers['x-forwarded-client-cert']).toContain('sa/client')
  })
})
