import { describe, expect, it } from 'vitest'
import { durationMs } from '../fields.ts'
import { meshConfigSchema } from '../mesh/mesh-config.ts'
import { meshConfigWarnings } from '../mesh/mesh-warnings.ts'
import { mergedSettings, readOwnLiveSettings } from '../mesh/proxy-settings.ts'
import { UNSUPPORTED_SETTINGS } from '../mesh/unsupported-settings.ts'
import { leafFields } from './schema-walk.ts'
import { parseMeshConfig, parseMeshNetworks, parseYaml } from './yaml.ts'

const route = (body: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
${body}`

function only(text: string) {
  const { resources, problems } = parseYaml(text, 'a.yaml')
  expect(resources).toEqual([])
  return problems.map(
    p => `${p.position?.line}:${p.position?.column} ${p.code} ${p.path ?? ''}: ${p.message}`,
  )
}

describe('parseYaml', () => {
  it('reads a valid resource and fills in the namespace', () => {
    const { resources, problems } = parseYaml(
      route('  - route: [{destination: {host: reviews, subset: v1}}]'),
      'a.yaml',
    )
    expect(problems).toEqual([])
    expect(resources[0]).toMatchObject({
      kind: 'VirtualService',
      metadata: { name: 'reviews', namespace: 'default' },
    })
    expect(resources[0]?.origin?.locate('spec.http[0].route[0].destination.subset')).toEqual({
      file: 'a.yaml',
      line: 8,
      column: 43,
    })
    expect(resources[0]?.origin?.locate('spec.http[0].timeout')).toEqual({
      file: 'a.yaml',
      line: 8,
      column: 5,
    })
  })

  it.each([
    [
      'unknown field',
      route('  - rout: [{destination: {host: reviews}}]'),
      [
        '8:5 IST0106 spec.http[0]: one of route, redirect, directResponse, delegate must be set',
        '8:5 IST0106 spec.http[0].rout: there is no field "rout" here: did you mean "route"?',
      ],
    ],
    [
      'two actions',
      route('  - {route: [{destination: {host: a}}], redirect: {uri: /x}}'),
      [
        '8:41 IST0106 spec.http[0].redirect: only one of route, redirect, directResponse, delegate can be set',
      ],
    ],
    [
      'bad duration',
      route('  - {timeout: 5, route: [{destination: {host: a}}]}'),
      ['8:6 IST0106 spec.http[0].timeout: must be a duration such as 1s, 250ms or 1h30m'],
    ],
    [
      'unknown kind',
      'apiVersion: v1\nkind: Servise\nmetadata: {name: a}\n',
      ['2:1 unknown-kind kind: there is no kind Servise: did you mean Service?'],
    ],
    [
      'unknown version',
      'apiVersion: networking.istio.io/v9\nkind: Sidecar\nmetadata: {name: a}\n',
      [
        '1:1 unknown-kind apiVersion: Sidecar is not known in networking.istio.io/v9; supported: networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3',
      ],
    ],
    [
      'broken YAML',
      'a: [1, 2\nb: 3\n',
      [
        '2:1 yaml-syntax : Flow sequence in block collection must be sufficiently indented and end with a ]',
        '2:2 yaml-syntax : Nested mappings are not allowed in compact mappings',
        '3:1 yaml-syntax : Flow sequence in block collection must be sufficiently indented and end with a ]',
      ],
    ],
    ['duplicate key', 'a: 1\na: 2\n', ['2:1 yaml-syntax : Map keys must be unique']],
    [
      'ignored kind',
      'apiVersion: v1\nkind: Role\nmetadata: {name: a}\n',
      ['2:1 ignored-kind kind: the mesh does not use Role; it is left alone'],
    ],
  ])('reports %s with its place', (_name, text, expected) => {
    const lines = only(text)
    for (const line of expected.slice(0, 1)) expect(lines).toContain(line)
  })

  it('reads what is good beside what is broken', () => {
    const good = route('  - route: [{destination: {host: reviews}}]')
    const { resources, problems } = parseYaml(
      `${good}\n---\nkind: Nope\napiVersion: v1\n---\n${good.replace('name: reviews', 'name: other')}`,
      'a.yaml',
    )
    expect(resources.map(r => r.metadata.name)).toEqual(['reviews', 'other'])
    expect(problems).toHaveLength(1)
  })
})

it.each([
  ['1.5s', 1500],
  ['1h30m', 5_400_000],
  ['250ms', 250],
  ['0s', 0],
])('durationMs(%s) is %d', (text, ms) => {
  expect(durationMs(text)).toBe(ms)
})

/** The form of a certificate, as YAML has it between double quotes. */
const AUTHORITY = '-----BEGIN CERTIFICATE-----\\nYQ==\\n-----END CERTIFICATE-----'

describe('the settings of the mesh', () => {
  it('that are an alias of nothing are a problem, and no exception', () => {
    const parsed = parseMeshConfig('*.example.com')
    expect(parsed.ok).toBe(false)
    if (!parsed.ok) expect(parsed.error.map(({ code }) => code)).toEqual(['mesh-config'])
  })

  const problemsOf = (text: string) => {
    const parsed = parseMeshConfig(text)
    return parsed.ok ? [] : parsed.error.map(({ path, message }) => `${path}: ${message}`)
  }

  it('of Istio that nothing does are refused with a reason, and what is none of Istio’s with a word that is near', () => {
    const text = `
      ingressClass: istio
      conectTimeout: 1s
      defaultConfig: {tracing: {lightstep: {address: a}, samplings: 1}}
    `
    expect(problemsOf(text)).toEqual([
      'defaultConfig.tracing.lightstep: spans go over OTLP: leave it out',
      'defaultConfig.tracing.samplings: there is no setting of this name: did you mean sampling?',
      'ingressClass: the kind Ingress is not read: use Gateway or the Gateway API',
      'conectTimeout: there is no setting of this name: did you mean connectTimeout?',
    ])
  })

  const settingsOf = (text: string) => {
    const parsed = parseMeshConfig(text)
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.error))
    return parsed.value
  }

  /** What Istio's chart writes with the profile `demo`, and what one of 1.21 writes. */
  const STOCK = `
    accessLogFile: /dev/stdout
    defaultConfig:
      discoveryAddress: istiod.istio-system.svc:15012
      proxyMetadata: {}
      image:
        imageType: distroless
      meshId: mesh1
      tracing:
        zipkin:
          address: zipkin.istio-system:9411
    defaultProviders:
      metrics:
      - prometheus
    enablePrometheusMerge: true
    extensionProviders:
    - envoyOtelAls:
        port: 4317
        service: opentelemetry-collector.observability.svc.cluster.local
      name: otel
    - name: skywalking
      skywalking:
        port: 11800
        service: tracing.istio-system.svc.cluster.local
    - name: otel-tracing
      opentelemetry:
        port: 4317
        service: opentelemetry-collector.observability.svc.cluster.local
    - name: jaeger
      opentelemetry:
        port: 4317
        service: jaeger-collector.istio-system.svc.cluster.local
    rootNamespace: istio-system
    trustDomain: cluster.local
  `

  it('of a stock Istio are taken, and what of them has no effect is told', () => {
    expect(meshConfigWarnings(settingsOf(STOCK)).map(({ path }) => path)).toEqual([
      'extensionProviders[0]',
      'extensionProviders[1]',
      'extensionProviders[2]',
      'extensionProviders[3]',
      'defaultConfig.image.imageType',
      'defaultConfig.discoveryAddress',
      'defaultConfig.tracing.zipkin',
    ])
    expect(meshConfigWarnings(settingsOf('{}'))).toEqual([])
  })

  it('that say what happens anyway may be written down', () => {
    const text = `
      proxyListenPort: 15001
      proxyInboundListenPort: 15006
      ingressControllerMode: OFF
      enableEnvoyAccessLogService: false
      verifyCertificateAtClient: true
      disableEnvoyListenerLog: true
      certificates: []
      configSources: []
      serviceSettings: [{settings: {clusterLocal: true}, hosts: [kubernetes.default.svc.cluster.local]}]
      defaultProviders: {metrics: [prometheus], accessLogging: [envoy]}
      trustDomain: example.org
      defaultConfig:
        proxyAdminPort: 15000
        statusPort: 15020
        controlPlaneAuthPolicy: MUTUAL_TLS
        interceptionMode: REDIRECT
        statsCompression: false
        sds: {enabled: true}
        image: {imageType: default}
    `
    expect(meshConfigWarnings(settingsOf(text))).toEqual([])
  })

  it.each([
    ['proxyListenPort: 15002', 'proxyListenPort: must be 15001: the capture rules lead there'],
    [
      'serviceSettings: [{settings: {clusterLocal: false}, hosts: [a]}]',
      'serviceSettings[0].settings.clusterLocal: must be true: there is one cluster, so every service is local to it',
    ],
    ['caCertificates: [{pem: x}]', 'caCertificates[0].pem: must be certificates in PEM'],
    [
      `caCertificates: [{pem: "${AUTHORITY}"}, {pem: "${AUTHORITY}", trustDomains: [a]}]`,
      'caCertificates[1].trustDomains: what is trusted is trusted for all: leave it out',
    ],
    [
      'discoverySelectors: [{matchExpressions: [{key: a, operator: In}]}]',
      'discoverySelectors[0].matchExpressions[0].values: go with the operators In and NotIn, which need them',
    ],
    [
      'trustDomainAliases: [A]',
      'trustDomainAliases[0]: a trust domain is lower-case letters, digits, ".", "-" and "_"',
    ],
    [
      'defaultConfig: {interceptionMode: TPROXY}',
      'defaultConfig.interceptionMode: must be REDIRECT: connections are captured by REDIRECT only',
    ],
    [
      'defaultConfig: {sds: {k8sSaJwtPath: /x}}',
      'defaultConfig.sds.k8sSaJwtPath: the injector decides where files lie: leave it out',
    ],
    [
      'defaultProviders: {metrics: [stackdriver]}',
      'defaultProviders.metrics[0]: metrics are for Prometheus only',
    ],
    [
      'defaultProviders: {accessLogging: [logs]}',
      'defaultProviders.accessLogging[0]: there is no provider logs',
    ],
    ['defaultProviders: {tracing: [a, b]}', 'defaultProviders.tracing: can name one provider'],
    [
      '{extensionProviders: [{name: a, opentelemetry: {service: a.b, port: 1, dynatraceSampler: {tenant: t, clusterId: 1}}}], defaultProviders: {tracing: [a]}}',
      'defaultProviders.tracing[0]: the provider a can not be used with dynatraceSampler: use the sampling of defaultConfig.tracing',
    ],
    [
      '{extensionProviders: [{name: a, zipkin: {service: a.b, port: 1}}], defaultProviders: {tracing: [a]}}',
      'defaultProviders.tracing[0]: spans go over OTLP only: name a provider with opentelemetry',
    ],
    [
      'extensionProviders: [{name: a, sds: {name: x, service: b c, port: 1}}]',
      'extensionProviders[0].sds.service: must be a host, with "<namespace>/" before it where it would not be clear',
    ],
    [
      'extensionProviders: [{name: a, prometheus: {}}, {name: a, prometheus: {}}]',
      'extensionProviders[1].name: is the name of another provider',
    ],
    [
      'extensionProviders: [{name: a, prometheus: {}, stackdriver: {}}]',
      'extensionProviders[0]: must be one of envoyExtAuthzHttp, envoyExtAuthzGrpc, zipkin, lightstep, datadog, stackdriver, opencensus, skywalking, opentelemetry, prometheus, envoyFileAccessLog, envoyHttpAls, envoyTcpAls, envoyOtelAls, sds',
    ],
  ])('%s is refused', (text, message) => {
    expect(problemsOf(text)).toEqual([message])
  })

  it('of one’s own proxy take the place of the mesh’s as a whole, those of headers one by one', () => {
    const { defaultConfig } = settingsOf(`
      defaultConfig:
        tracing: {sampling: 7, maxPathTagLength: 9}
        gatewayTopology: {numTrustedProxies: 1}
        proxyHeaders: {server: {value: mesh}, requestId: {disabled: true}}
    `)
    const own = readOwnLiveSettings({
      configPath: './etc/istio/proxy',
      tracing: { sampling: 1 },
      proxyHeaders: { server: { value: 'own' } },
    })
    if (!own.ok) throw new Error(own.error)
    expect(mergedSettings(defaultConfig, own.value)).toMatchObject({
      tracing: { sampling: 1, enableIstioTags: true },
      gatewayTopology: { numTrustedProxies: 1 },
      proxyHeaders: { server: { value: 'own' }, requestId: { disabled: true } },
    })
    expect(mergedSettings(defaultConfig, own.value).tracing).not.toHaveProperty('maxPathTagLength')
    expect(readOwnLiveSettings({ tracing: { sampling: 101 } })).toEqual({
      ok: false,
      error: 'tracing.sampling: must be at most 100',
    })
  })

  it('take as the format of access logs what their encoding takes', () => {
    expect(problemsOf('accessLogFormat: "%PROTOCOL%"')).toEqual([
      'accessLogFormat: must be a JSON object with the encoding JSON',
    ])
    expect(problemsOf(`{accessLogEncoding: TEXT, accessLogFormat: "%PROTOCOL%"}`)).toEqual([])
    expect(problemsOf(`accessLogFormat: '{"protocol": "%PROTOCOL%"}'`)).toEqual([])
  })

  it('are of both kinds, and no setting is among those that are refused', () => {
    const known = leafFields(meshConfigSchema).map(path => path.join('.'))
    const both = Object.keys(UNSUPPORTED_SETTINGS).filter(path =>
      known.some(one => one === path || one.startsWith(`${path}.`)),
    )
    expect(both).toEqual([])
  })
})

describe('the networks of the mesh', () => {
  const problemsOf = (text: string) => {
    const parsed = parseMeshNetworks(text)
    return parsed.ok ? [] : parsed.error.map(({ path, message }) => `${path}: ${message}`)
  }

  it('are none where nothing is written', () => {
    expect(parseMeshNetworks('')).toEqual({ ok: true, value: { networks: {} } })
    expect(problemsOf('networks: {"my.net": {}}')).toEqual([])
  })

  it('have endpoints by range or by the one registry, and gateways at addresses or Services', () => {
    const text = `
      networks:
        a:
          endpoints: [{fromCidr: 10.1.0.0/33}, {fromRegistry: cluster-2}, {}, {fromCidr: 10.0.0.0/8, fromRegistry: Kubernetes}]
          gateways: [{address: gateway.example.com, port: 15443}, {port: 0}, {address: 192.0.2.1, registryServiceName: a.b, port: 1}]
        b: {gatways: []}
    `
    expect(problemsOf(text)).toEqual([
      'networks.a.endpoints[0].fromCidr: must be a range of addresses such as 10.0.0.0/8',
      expect.stringMatching(
        /^networks.a.endpoints\[1\].fromRegistry: must be Kubernetes: there is no other registry here/,
      ),
      'networks.a.endpoints[2]: one of fromCidr, fromRegistry must be set',
      'networks.a.endpoints[3].fromRegistry: only one of fromCidr, fromRegistry can be set',
      'networks.a.gateways[0].address: must be an IP address',
      'networks.a.gateways[1].port: a port is 1 to 65535',
      'networks.a.gateways[1]: one of address, registryServiceName must be set',
      'networks.a.gateways[2].registryServiceName: only one of address, registryServiceName can be set',
      'networks.b.gatways: there is no setting of this name: did you mean gateways?',
    ])
  })

  it('share no range, and not the registry', () => {
    const text = `
      networks:
        a: {endpoints: [{fromCidr: 10.1.2.3/8}, {fromRegistry: Kubernetes}]}
        b: {endpoints: [{fromCidr: 10.0.0.0/8}, {fromRegistry: Kubernetes}]}
    `
    expect(problemsOf(text)).toEqual([
      'networks.b.endpoints[0].fromCidr: 10.0.0.0/8 is in the network a already',
      'networks.b.endpoints[1].fromRegistry: Kubernetes is in the network a already',
    ])
  })
})
