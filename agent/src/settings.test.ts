import { describe, expect, it } from 'vitest'
import { testSettings } from '../test/settings.ts'
import { nodeId, nodeMetadata, readSettings } from './settings.ts'

/** What the injector always writes. */
const ENVIRONMENT = {
  POD_NAME: 'reviews-v1-abc',
  POD_NAMESPACE: 'default',
  INSTANCE_IP: '10.0.0.7',
  CA_ADDR: 'citadel.seine-system:15012',
  XDS_ADDR: '10.0.0.1:15012',
  TOKEN_FILE: '/token',
  ROOT_CERT_FILE: '/root-cert.pem',
  RUN_DIR: '/run/seine',
}

describe('readSettings', () => {
  it('takes more of what the node says of itself, and lets nobody say its name', () => {
    const read = readSettings({ ...ENVIRONMENT, ISTIO_META_ROLE: 'backend', ISTIO_META_NAMESPACE: 'other' })
    if (!read.ok) throw new Error(read.error)
    expect(read.value.metadata).toEqual({ ROLE: 'backend', NAMESPACE: 'other' })
    expect(nodeMetadata(read.value)).toMatchObject({
      ROLE: 'backend',
      NAMESPACE: ENVIRONMENT['POD_NAMESPACE'],
    })
  })

  it('takes what the injector writes, and defaults for the rest', () => {
    const read = readSettings({ ...ENVIRONMENT, LABELS: '{"app":"reviews"}' })
    expect(read).toEqual({
      ok: true,
      value: {
        proxyType: 'sidecar',
        podName: 'reviews-v1-abc',
        namespace: 'default',
        ip: '10.0.0.7',
        ips: ['10.0.0.7'],
        serviceAccount: 'default',
        workloadName: 'reviews-v1-abc',
        labels: { app: 'reviews' },
        group: undefined,
        network: undefined,
        allowExecProbes: false,
        clusterId: 'Kubernetes',
        trustDomain: 'cluster.local',
        caAddress: 'citadel.seine-system:15012',
        xdsAddress: '10.0.0.1:15012',
        otlpAddress: '127.0.0.1:4317',
        tokenFile: '/token',
        rootCertFile: '/root-cert.pem',
        trustedRoots: '',
        meshId: 'cluster.local',
        exitOnZeroConnections: false,
        minimumDrainMs: 5000,
        runDir: '/run/seine',
        envoyPath: undefined,
        concurrency: 2,
        metadata: {},
        drainMs: 5000,
        listenerDrainS: 45,
        logFlushMs: 1000,
        logFlushKib: 64,
        envoyLogLevel: 'warning',
        envoyComponentLogLevel: undefined,
        bootstrap: {},
        proxyConfig: {},
        appProbes: {},
        certificateTtlMs: 86_400_000,
        resolvConf: '/etc/resolv.conf',
        applicationMetrics: undefined,
        ports: { admin: 15000, dns: 15053, metrics: 15020, health: 15021, prometheus: 15090 },
      },
    })
  })

  it('takes how Envoy starts, and tells pilot what the workload says of its proxy', () => {
    const read = readSettings({
      ...ENVIRONMENT,
      LISTENER_DRAIN_S: '7',
      MESH_ID: 'shop',
      EXIT_ON_ZERO_ACTIVE_CONNECTIONS: 'true',
      MINIMUM_DRAIN_DURATION: '1m1.5s',
      ENVOY_LOG_LEVEL: 'debug',
      ENVOY_COMPONENT_LOG_LEVEL: 'http:trace',
      BOOTSTRAP_SETTINGS: '{"stats":{"prefixes":["a"],"flushMs":1000},"runtime":{"b":"true"}}',
      PROXY_CONFIG: '{"tracing":{"sampling":1}}',
    })
    if (!read.ok) throw new Error(read.error)
    expect(read.value).toMatchObject({
      listenerDrainS: 7,
      exitOnZeroConnections: true,
      minimumDrainMs: 61_500,
      envoyLogLevel: 'debug',
      envoyComponentLogLevel: 'http:trace',
      bootstrap: { stats: { prefixes: ['a'], flushMs: 1000 }, runtime: { b: 'true' } },
    })
    expect(nodeMetadata(read.value)['MESH_ID']).toBe('shop')
    expect(nodeMetadata(read.value)['PROXY_CONFIG']).toEqual({ tracing: { sampling: 1 } })
  })

  it.each([
    ['PROXY_CONFIG', '[]', 'PROXY_CONFIG must be a JSON object, not []'],
    ['MINIMUM_DRAIN_DURATION', 'long', 'MINIMUM_DRAIN_DURATION must be a duration such as 5s, not long'],
    ['APP_PROBES', '{"/a":1}', 'APP_PROBES must be a JSON object of probes, not {"/a":1}'],
    ['BOOTSTRAP_SETTINGS', '{', 'BOOTSTRAP_SETTINGS must be JSON, not {'],
    ['BOOTSTRAP_SETTINGS', '{"more":1}', 'BOOTSTRAP_SETTINGS has no more'],
    ['BOOTSTRAP_SETTINGS', '{"stats":{"prefixes":[1]}}', 'BOOTSTRAP_SETTINGS stats.prefixes can not be read'],
    ['BOOTSTRAP_SETTINGS', '{"stats":{"none":[]}}', 'BOOTSTRAP_SETTINGS stats.none can not be read'],
    ['BOOTSTRAP_SETTINGS', '{"runtime":{"a":1}}', 'BOOTSTRAP_SETTINGS runtime must be an object of strings'],
  ])('refuses %s of %s', (name, value, message) => {
    expect(readSettings({ ...ENVIRONMENT, [name]: value })).toEqual({ ok: false, error: message })
  })

  it('calls a workload that registers by a group as its entry', () => {
    const { POD_NAME: _, ...machine } = ENVIRONMENT
    const read = readSettings({
      ...machine,
      ISTIO_META_AUTO_REGISTER_GROUP: 'vms',
      ISTIO_META_NETWORK: 'dc',
      ALLOW_EXEC_PROBES: 'true',
    })
    if (!read.ok) throw new Error(read.error)
    expect(read.value).toMatchObject({
      podName: 'vms-10.0.0.7-dc',
      workloadName: 'vms',
      group: 'vms',
      network: 'dc',
      allowExecProbes: true,
    })
    expect(nodeMetadata(read.value)).toMatchObject({ AUTO_REGISTER_GROUP: 'vms', NETWORK: 'dc' })
  })

  it('takes all addresses of a pod with several', () => {
    const read = readSettings({ ...ENVIRONMENT, INSTANCE_IPS: '10.0.0.7,fd00::7' })
    expect(read).toMatchObject({ ok: true, value: { ip: '10.0.0.7', ips: ['10.0.0.7', 'fd00::7'] } })
    expect(read.ok && nodeMetadata(read.value)['INSTANCE_IPS']).toBe('10.0.0.7,fd00::7')
  })

  it('takes what the injector writes for an application that is its own proxy', () => {
    const proxyless = (env: NodeJS.ProcessEnv) => {
      const read = readSettings({ ...ENVIRONMENT, DISABLE_ENVOY: 'true', ...env })
      return read.ok ? read.value.proxyless : read.error
    }
    expect(proxyless({})).toEqual({
      bootstrapFile: '/run/seine/grpc-bootstrap.json',
      certificateFolder: undefined,
    })
    expect(proxyless({ GRPC_XDS_BOOTSTRAP: '/b.json', OUTPUT_CERTS: '/certs' })).toEqual({
      bootstrapFile: '/b.json',
      certificateFolder: '/certs',
    })
    expect(proxyless({ DISABLE_ENVOY: 'false' })).toBeUndefined()
  })

  it('names everything that is missing', () => {
    expect(readSettings({ POD_NAME: 'p', RUN_DIR: '' })).toEqual({
      ok: false,
      error:
        'the environment lacks POD_NAMESPACE, INSTANCE_IP, CA_ADDR, XDS_ADDR, TOKEN_FILE, ROOT_CERT_FILE, RUN_DIR: the injector sets them',
    })
  })

  it.each([
    [{ LABELS: 'app=reviews' }, 'LABELS must be a JSON object of strings, not app=reviews'],
    [
      { DISABLE_ENVOY: 'true', ISTIO_META_AUTO_REGISTER_GROUP: 'vms' },
      'DISABLE_ENVOY must not be true for a workload that registers by a group: its health would not be told',
    ],
    [{ DISABLE_ENVOY: 'yes' }, 'DISABLE_ENVOY must be true or false, not yes'],
    [
      { DISABLE_ENVOY: 'true', PROXY_TYPE: 'router' },
      'DISABLE_ENVOY must not be true for a gateway: its proxy is all that it is',
    ],
    [{ LABELS: '["a"]' }, 'LABELS must be a JSON object of strings, not ["a"]'],
    [{ LABELS: '{"a":1}' }, 'LABELS must be a JSON object of strings, not {"a":1}'],
    [
      { ENVOY_CONCURRENCY: 'two' },
      'ENVOY_CONCURRENCY must be a whole number from 0 to 9007199254740991, not two',
    ],
    [{ DRAIN_MS: '-1' }, 'DRAIN_MS must be a whole number from 0 to 9007199254740991, not -1'],
    [{ DNS_PORT: '66000' }, 'DNS_PORT must be a whole number from 0 to 65535, not 66000'],
    [{ CA_ADDR: 'citadel' }, 'CA_ADDR must be <host>:<port>, not citadel'],
    [{ XDS_ADDR: 'fd00::1:15012' }, 'XDS_ADDR must be <host>:<port>, not fd00::1:15012'],
    [{ OTLP_ADDR: 'http://hub:4317' }, 'OTLP_ADDR must be <host>:<port>, not http://hub:4317'],
    [{ OTLP_ADDR: 'hub:0' }, 'OTLP_ADDR must be <host>:<port>, not hub:0'],
    [{ ALLOW_EXEC_PROBES: 'yes' }, 'ALLOW_EXEC_PROBES must be true or false, not yes'],
    [{ APPLICATION_METRICS: '9090' }, 'APPLICATION_METRICS must be an http URL, not 9090'],
    [
      { ADMIN_PORT: 'x', METRICS_PORT: '1.5' },
      'ADMIN_PORT must be a whole number from 0 to 65535, not x; METRICS_PORT must be a whole number from 0 to 65535, not 1.5',
    ],
  ])('refuses %j and names the variable', (changes, error) => {
    expect(readSettings({ ...ENVIRONMENT, ...changes })).toEqual({ ok: false, error })
  })

  it.each(['[fd00::1]:15012', 'localhost:1', '192.0.2.1:65535'])('takes the address %s', address => {
    expect(readSettings({ ...ENVIRONMENT, XDS_ADDR: address })).toMatchObject({
      ok: true,
      value: { xdsAddress: address },
    })
  })
})

describe('the node', () => {
  it('is called as Istio calls it, and says what pilot makes its configuration from', () => {
    expect(nodeId(testSettings())).toBe('sidecar~10.0.0.7~reviews-v1-abc.default~default.svc.cluster.local')
    expect(nodeMetadata(testSettings())).toMatchObject({
      NAME: 'reviews-v1-abc',
      NAMESPACE: 'default',
      WORKLOAD_NAME: 'reviews-v1',
      SERVICE_ACCOUNT: 'bookinfo-reviews',
      INSTANCE_IPS: '10.0.0.7',
      LABELS: { app: 'reviews', version: 'v1' },
    })
  })
})
