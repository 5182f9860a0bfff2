import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defaultMeshConfig, type ProxyConfig, parseMeshConfig } from '@seine/api'
import { casesIn, goldenText, objectYaml, resourcesOf, strayFiles } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { type InjectablePod, type InjectOptions, injectPod, reasonToSkip } from './inject-pod.ts'

const TESTDATA = fileURLToPath(new URL('../testdata', import.meta.url))
/** The form of a certificate, as YAML has it between double quotes. */
const AUTHORITY = (text: string) => `-----BEGIN CERTIFICATE-----\\n${text}\\n-----END CERTIFICATE-----`

const OPTIONS: InjectOptions = {
  controlPlane: 'seined.seine-system.svc:15012',
  otlp: 'seined.seine-system.svc:4317',
  trustDomain: 'cluster.local',
  clusterId: 'Kubernetes',
  image: 'seine/proxy',
  captureDns: true,
}

/** A pod with what its metadata lacks filled in, as the API server gives it. */
function pod(metadata: Partial<InjectablePod['metadata']> = {}, spec: object = {}): InjectablePod {
  return {
    metadata: { name: 'web', namespace: 'default', labels: {}, annotations: {}, ...metadata },
    spec: { containers: [{ name: 'web' }], ...spec },
  }
}

function annotated(annotations: Readonly<Record<string, string>>): InjectablePod {
  return pod({ annotations })
}

/** The injected pod; fails when there is none. */
function injected(one: InjectablePod, options = OPTIONS) {
  const result = injectPod(one, options)
  if (!result.ok) throw new Error(JSON.stringify(result.error))
  return result.value
}

/** The environment of the sidecar of an injected pod. */
function sidecarEnv(one: InjectablePod, options = OPTIONS): Record<string, string | undefined> {
  const sidecar = injected(one, options).pod.spec.containers.at(-1)
  return Object.fromEntries((sidecar?.env ?? []).map(({ name, value }) => [name, value]))
}

describe.each(casesIn(TESTDATA))('golden %s', name => {
  const folder = join(TESTDATA, name)

  it('is as it was read', () => {
    const { apiVersion, kind, ...given } = parse(readFileSync(join(folder, 'pod.yaml'), 'utf8'))
    const { metadata, spec } = injected(pod(given.metadata, given.spec)).pod
    const text = stringify({ apiVersion, kind, metadata, spec }, { lineWidth: 0 })
    expect(text).toBe(goldenText(join(folder, 'out.yaml'), text))
    expect(strayFiles(folder, ['pod.yaml', 'out.yaml'])).toEqual([])
  })
})

describe('reasonToSkip', () => {
  const enabled = { 'istio-injection': 'enabled' }
  const disabled = { 'istio-injection': 'disabled' }
  const label = (value: string) => pod({ labels: { 'sidecar.istio.io/inject': value } })

  it.each<[string, InjectablePod, Record<string, string>]>([
    ['the namespace asks for sidecars', pod(), enabled],
    ['its label asks for one', label('true'), {}],
    ['both do', label('true'), enabled],
    ['its label says something else', label('maybe'), enabled],
    [
      'its label comes before its annotation',
      {
        ...label('true'),
        metadata: { ...label('true').metadata, annotations: { 'sidecar.istio.io/inject': 'false' } },
      },
      enabled,
    ],
  ])('is none when %s', (_name, one, labels) => {
    expect(reasonToSkip(one, labels)).toBeUndefined()
  })

  it.each<[string, InjectablePod, Record<string, string>, string]>([
    [
      'nobody asks',
      pod(),
      {},
      'neither its namespace (istio-injection: enabled) nor its label (sidecar.istio.io/inject: "true") asks for one',
    ],
    [
      'an annotation alone asks',
      annotated({ 'sidecar.istio.io/inject': 'true' }),
      {},
      'neither its namespace (istio-injection: enabled) nor its label (sidecar.istio.io/inject: "true") asks for one',
    ],
    [
      'its label refuses',
      label('false'),
      enabled,
      'the pod asks for none (sidecar.istio.io/inject: "false")',
    ],
    [
      'its annotation refuses',
      annotated({ 'sidecar.istio.io/inject': 'false' }),
      enabled,
      'the pod asks for none (sidecar.istio.io/inject: "false")',
    ],
    [
      'its namespace refuses, whatever the pod says',
      label('true'),
      disabled,
      'its namespace asks for none (istio-injection: disabled)',
    ],
    [
      'it uses the network of its host',
      pod({ labels: { 'sidecar.istio.io/inject': 'true' } }, { hostNetwork: true }),
      enabled,
      'the pod uses the network of its host',
    ],
    [
      'it has a sidecar',
      pod({}, { containers: [{ name: 'web' }, { name: 'seine-proxy' }] }),
      enabled,
      'it has one already',
    ],
    [
      'it is part of Kubernetes',
      pod({ namespace: 'kube-system' }),
      enabled,
      "its namespace kube-system is Kubernetes' own",
    ],
  ])('says so when %s', (_name, one, labels, reason) => {
    expect(reasonToSkip(one, labels)).toBe(reason)
  })

  it('is not to have a sidecar twice', () => {
    expect(reasonToSkip(injected(pod()).pod, enabled)).toBe('it has one already')
  })
})

describe('injectPod', () => {
  it('changes nothing of what the pod had', () => {
    const one = pod(
      { annotations: { a: 'b' } },
      { initContainers: [{ name: 'first' }], volumes: [{ name: 'v' }] },
    )
    const copy = structuredClone(one)
    const { spec, metadata } = injected(one).pod
    expect(one).toEqual(copy)
    expect(spec.containers[0]).toEqual(one.spec.containers[0])
    expect(spec.initContainers?.map(({ name }) => name)).toEqual(['seine-init', 'first'])
    expect(metadata.annotations).toMatchObject({ a: 'b' })
  })

  it('gives the init container the rules that it returns', () => {
    const { pod: made, rules } = injected(
      annotated({ 'traffic.sidecar.istio.io/excludeInboundPorts': '9901' }),
    )
    expect(made.spec.initContainers?.[0]?.env).toEqual([
      { name: 'RULES', value: rules?.ipv4 },
      { name: 'RULES_IPV6', value: rules?.ipv6 },
    ])
    for (const text of [rules?.ipv4, rules?.ipv6])
      expect(text).toContain('-A ISTIO_INBOUND -p tcp --dport 9901 -j RETURN')
  })

  it('names the workload after what made the pod', () => {
    const made = (kind: string, name: string, labels = {}) =>
      sidecarEnv(pod({ name: 'web-abc-x', labels, ownerReferences: [{ kind, name }] }))['WORKLOAD_NAME']
    expect(made('ReplicaSet', 'web-abc', { 'pod-template-hash': 'abc' })).toBe('web')
    expect(made('ReplicaSet', 'web-abc')).toBe('web-abc')
    expect(made('StatefulSet', 'web')).toBe('web')
    expect(made('Job', 'nightly-123')).toBe('nightly-123')
    expect(sidecarEnv(pod({ name: 'alone' }))['WORKLOAD_NAME']).toBe('alone')
  })

  it('asks citadel for certificates where it is apart', () => {
    expect(sidecarEnv(pod())['CA_ADDR']).toBe('seined.seine-system.svc:15012')
    const apart = { ...OPTIONS, citadel: 'citadel.seine-system.svc:15012' }
    expect(sidecarEnv(pod(), apart)).toMatchObject({
      CA_ADDR: 'citadel.seine-system.svc:15012',
      XDS_ADDR: 'seined.seine-system.svc:15012',
    })
  })

  it('has the metrics of the application served along, once', () => {
    const metrics = (annotations: Record<string, string>) => {
      const { pod: made } = injected(annotated(annotations))
      const { 'prometheus.io/scrape': scrape, 'prometheus.io/port': port } = made.metadata.annotations
      return [sidecarEnv(annotated(annotations))['APPLICATION_METRICS'], scrape, port]
    }
    expect(metrics({})).toEqual([undefined, 'true', '15020'])
    expect(metrics({ 'prometheus.io/scrape': 'true' })).toEqual([
      'http://127.0.0.1:80/metrics',
      'true',
      '15020',
    ])
    expect(metrics({ 'prometheus.io/scrape': 'false' })).toEqual([undefined, 'false', undefined])
    expect(metrics({ 'prometheus.io/scrape': 'true', 'prometheus.io/port': '15020' })).toEqual([
      undefined,
      'true',
      '15020',
    ])
  })

  it('leaves look-ups of names alone where the environment of the proxy says so', () => {
    const rules = (value: string) =>
      injected(annotated({ 'proxy.istio.io/config': `proxyMetadata: {ISTIO_META_DNS_CAPTURE: "${value}"}` }))
        .rules?.ipv4
    expect(rules('true')).toContain('--dport 53')
    expect(rules('false')).not.toContain('--dport 53')
  })

  it('leaves probes alone where the pod says so, and asks on loopback where the mesh calls applications there', () => {
    const probe = { httpGet: { path: '/ready', port: 80 } }
    const spec = { containers: [{ name: 'web', readinessProbe: probe }] }
    const web = (one: InjectablePod, options = OPTIONS) => injected(one, options).pod.spec.containers[0]
    expect(web(pod({}, spec))).toMatchObject({
      readinessProbe: { httpGet: { path: '/app-health/web/readyz', port: 15020 } },
    })
    expect(web(pod({ annotations: { 'sidecar.istio.io/rewriteAppHTTPProbers': 'false' } }, spec))).toEqual({
      name: 'web',
      readinessProbe: probe,
    })
    expect(sidecarEnv(pod({}, spec))['APP_PROBES']).toBe(
      '{"/app-health/web/readyz":{"httpGet":{"path":"/ready","port":80}}}',
    )
    const mesh = { ...defaultMeshConfig, inboundTrafficPolicy: { mode: 'LOCALHOST' as const } }
    expect(sidecarEnv(pod({}, spec), { ...OPTIONS, mesh })['APP_PROBES']).toContain('"host":"127.0.0.1"')
    // Injection of what was injected before asks no agent of itself.
    const again = web(pod({}, { containers: [web(pod({}, spec))] }))
    expect(again).toMatchObject({ readinessProbe: { httpGet: { path: '/app-health/web/readyz' } } })
  })

  it('leaves metrics apart where the mesh does, unless the pod says otherwise', () => {
    const options = { ...OPTIONS, mesh: { ...defaultMeshConfig, enablePrometheusMerge: false } }
    const metrics = (more: Record<string, string> = {}) => {
      const one = annotated({ 'prometheus.io/scrape': 'true', 'prometheus.io/scheme': 'https', ...more })
      const { annotations } = injected(one, options).pod.metadata
      return [sidecarEnv(one, options)['APPLICATION_METRICS'], annotations['prometheus.io/port']]
    }
    expect(metrics()).toEqual([undefined, undefined])
    const merged = { 'prometheus.istio.io/merge-metrics': 'true', 'prometheus.io/scheme': 'http' }
    expect(metrics(merged)).toEqual(['http://127.0.0.1:80/metrics', '15020'])
  })

  it('refuses an application that serves metrics over TLS only where they are merged', () => {
    const result = injectPod(
      annotated({ 'prometheus.io/scrape': 'true', 'prometheus.io/scheme': 'https' }),
      OPTIONS,
    )
    expect(result.ok ? [] : result.error.map(({ path }) => path)).toEqual([
      'metadata.annotations["prometheus.io/scheme"]',
    ])
  })

  it('gives a pod what the mesh’s settings say of starts, and a pod’s own words before them', () => {
    const parsed = parseMeshConfig(`
      defaultConfig:
        concurrency: 1
        proxyMetadata: {TEAM: mesh, FROM: mesh}
        drainDuration: 20s
        terminationDrainDuration: 9s
        runtimeValues: {a.b: "true"}
        holdApplicationUntilProxyStarts: true
        discoveryAddress: istiod.istio-system.svc:15012
        caCertificatesPem: ["${AUTHORITY('bWVzaA==')}"]
      caCertificates: [{pem: "${AUTHORITY('YWxs')}"}]
    `)
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.error))
    const options = { ...OPTIONS, mesh: parsed.value }
    expect(injected(pod(), options).pod.spec.containers.map(({ name }) => name)).toEqual([
      'seine-proxy',
      'web',
    ])
    const env = (one: InjectablePod) => {
      const sidecar = injected(one, options).pod.spec.containers.find(({ name }) => name === 'seine-proxy')
      return Object.fromEntries((sidecar?.env ?? []).map(({ name, value }) => [name, value]))
    }
    expect(env(pod())).toMatchObject({
      ENVOY_CONCURRENCY: '1',
      TEAM: 'mesh',
      LISTENER_DRAIN_S: '20',
      DRAIN_MS: '9000',
      BOOTSTRAP_SETTINGS: '{"runtime":{"a.b":"true"}}',
      XDS_ADDR: 'seined.seine-system.svc:15012',
    })
    expect(env(pod())).not.toHaveProperty('PROXY_CONFIG')
    const own = `
      concurrency: 2
      proxyMetadata: {TEAM: own}
      drainDuration: 1500ms
      discoveryAddress: canary.istio-system.svc:15012
      proxyHeaders: {server: {value: own}}
      caCertificatesPem: ["${AUTHORITY('b3du')}"]
    `
    const [all, ofMesh, ofPod] = ['YWxs', 'bWVzaA==', 'b3du'].map(text =>
      AUTHORITY(text).replaceAll('\\n', '\n'),
    )
    expect(env(pod())['TRUSTED_ROOTS']).toBe(`${all}\n${ofMesh}`)
    expect(env(annotated({ 'proxy.istio.io/config': own }))['TRUSTED_ROOTS']).toBe(`${all}\n${ofPod}`)
    expect(env(annotated({ 'proxy.istio.io/config': own }))).toMatchObject({
      ENVOY_CONCURRENCY: '2',
      TEAM: 'own',
      FROM: 'mesh',
      LISTENER_DRAIN_S: '2',
      XDS_ADDR: 'canary.istio-system.svc:15012',
      CA_ADDR: 'seined.seine-system.svc:15012',
      PROXY_CONFIG: '{"proxyHeaders":{"server":{"value":"own"}}}',
    })
  })

  it('takes volumes as a list and as a map, for Istio documents the one and reads the other', () => {
    const of = (volume: string) =>
      (
        injected(annotated({ 'sidecar.istio.io/userVolume': volume })).pod.spec as { volumes: unknown[] }
      ).volumes.at(-1)
    const volume = { name: 'certs', secret: { secretName: 'certs' } }
    expect(of(JSON.stringify([volume]))).toEqual(volume)
    expect(of(JSON.stringify({ certs: { secret: { secretName: 'certs' } } }))).toEqual(volume)
  })

  it('refuses what is about Envoy for a proxyless pod', () => {
    const annotations = {
      'inject.istio.io/templates': 'grpc-agent',
      'sidecar.istio.io/logLevel': 'debug',
      'proxy.istio.io/config': 'tracing: {sampling: 1}',
    }
    const result = injectPod(pod({ annotations }, { securityContext: { runAsUser: 1000 } }), OPTIONS)
    expect(result.ok ? [] : result.error.map(({ path, message }) => `${path} ${message}`)).toEqual([
      'metadata.annotations["sidecar.istio.io/logLevel"] is for Envoy, of which a proxyless pod has none: remove it',
      'metadata.annotations["proxy.istio.io/config"] tracing: is for Envoy, of which a proxyless pod has none: remove it',
    ])
  })

  it.each([
    [
      'traffic.sidecar.istio.io/excludeInboundPorts',
      '80,http',
      'IST0125',
      '"http" is not a port, 1 to 65535',
    ],
    ['traffic.sidecar.istio.io/excludeInboundPorts', '*', 'IST0125', '"*" is not a port, 1 to 65535'],
    ['traffic.sidecar.istio.io/includeInboundPorts', '0', 'IST0125', '"0" is not a port, 1 to 65535'],
    [
      'traffic.sidecar.istio.io/includeOutboundPorts',
      '65536',
      'IST0125',
      '"65536" is not a port, 1 to 65535',
    ],
    [
      'traffic.sidecar.istio.io/excludeOutboundPorts',
      '8000-8100',
      'IST0125',
      '"8000-8100" is not a port, 1 to 65535',
    ],
    [
      'traffic.sidecar.istio.io/includeOutboundIPRanges',
      '10.0.0.0/33',
      'IST0125',
      '"10.0.0.0/33" is not a range of addresses such as 10.0.0.0/8 or fd00::/8',
    ],
    [
      'traffic.sidecar.istio.io/excludeOutboundIPRanges',
      '300.1.1.1',
      'IST0125',
      '"300.1.1.1" is not a range of addresses such as 10.0.0.0/8 or fd00::/8',
    ],
    [
      'traffic.sidecar.istio.io/excludeOutboundIPRanges',
      'fd00::/200',
      'IST0125',
      '"fd00::/200" is not a range of addresses such as 10.0.0.0/8 or fd00::/8',
    ],
    [
      'traffic.sidecar.istio.io/excludeInterfaces',
      'net1 -j ACCEPT',
      'IST0125',
      '"net1 -j ACCEPT" is not the name of a network interface',
    ],
    ['sidecar.istio.io/interceptionMode', 'TPROXY', 'IST0125', '"TPROXY" is not REDIRECT'],
    ['sidecar.istio.io/proxyCPU', 'much', 'IST0125', '"much" is not an amount such as 100m or 128Mi'],
    ['inject.istio.io/templates', 'custom', 'IST0125', '"custom" is not sidecar or gateway or grpc-agent'],
    [
      'proxy.istio.io/config',
      'concurrency: -1',
      'IST0125',
      'concurrency: must be 0 (a thread for each core) or more',
    ],
    [
      'proxy.istio.io/config',
      'image: {imageType: debug}',
      'IST0125',
      'image.imageType: there is no image of the type debug: the annotation sidecar.istio.io/proxyImage of pods names another',
    ],
    [
      'proxy.istio.io/config',
      'tracing: {zipkin: {address: "zipkin:9411"}}',
      'IST0125',
      'tracing.zipkin: spans go over OTLP: leave it out',
    ],
    [
      'proxy.istio.io/config',
      'readinessProbe: {}',
      'IST0125',
      'readinessProbe: for machines, whose WorkloadGroup has it here; of a pod its own probe counts',
    ],
    [
      'proxy.istio.io/config',
      'statusPort: 15021',
      'IST0125',
      'statusPort: must be 15020: the hub looks for metrics there',
    ],
    [
      'proxy.istio.io/config',
      'discoveryAddress: istiod',
      'IST0125',
      'discoveryAddress: must be <host>:<port>',
    ],
    [
      'proxy.istio.io/config',
      'proxyStatsMatcher: {inclusionRegexps: ["("]}',
      'IST0125',
      'proxyStatsMatcher.inclusionRegexps[0]: a ( is not closed',
    ],
    ['sidecar.istio.io/proxyImageType', 'distroless', 'IST0125', '"distroless" is not default'],
    [
      'sidecar.istio.io/nativeSidecar',
      'true',
      'IST0125',
      'must be false: sidecars are containers beside the others',
    ],
    ['sidecar.istio.io/rewriteAppHTTPProbers', 'yes', 'IST0125', '"yes" is not true or false'],
    [
      'sidecar.istio.io/statsCompression',
      'true',
      'IST0125',
      'must be false: the agent serves metrics as they are',
    ],
    ['sidecar.istio.io/discoveryAddress', 'pilot', 'IST0125', '"pilot" is not <host>:<port>'],
    [
      'sidecar.istio.io/logLevel',
      'loud',
      'IST0125',
      '"loud" is not trace or debug or info or warning or error or critical or off',
    ],
    ['sidecar.istio.io/componentLogLevel', 'http', 'IST0125', '"http" is not <component>:<level> of Envoy'],
    [
      'sidecar.istio.io/agentLogLevel',
      'dns:debug',
      'IST0125',
      '"dns:debug" is not one of debug, info, warn, error, fatal, none, or default:<level>: the agent has one for all',
    ],
    [
      'sidecar.istio.io/userVolume',
      'x',
      'IST0125',
      'must be a JSON list of objects with names, or a map of objects',
    ],
    [
      'sidecar.istio.io/userVolumeMount',
      '[{"mountPath": "/x"}]',
      'IST0125',
      'must be a JSON list of objects with names, or a map of objects',
    ],
    [
      'sidecar.istio.io/statsHistogramBuckets',
      '{"istio": [5, 1]}',
      'IST0125',
      'must be a JSON map of beginnings of names to lists of growing bounds',
    ],
    ['sidecar.istio.io/statsFlushInterval', 'often', 'IST0125', '"often" is not a duration such as 5s'],
    [
      'sidecar.istio.io/statsEvictionInterval',
      '5s',
      'IST0125',
      'must be a multiple of the interval at which statistics go out, 2000 ms',
    ],
    ['status.sidecar.istio.io/port', '0', 'IST0125', 'must be 15020: the hub looks for metrics there'],
    [
      'readiness.status.sidecar.istio.io/periodSeconds',
      '0',
      'IST0125',
      '"0" is not a whole number of 1 or more',
    ],
    ['prometheus.istio.io/merge-metrics', 'no', 'IST0125', '"no" is not true or false'],
    ...[
      'traffic.sidecar.istio.io/excludeInboundPort',
      'sidecar.istio.io/logLevels',
      'status.sidecar.istio.io/ports',
    ].map((name): [string, string, string, string] => [
      name,
      'x',
      'IST0108',
      'is not supported: remove it, as it would have no effect',
    ]),
    ...[
      [
        'traffic.sidecar.istio.io/kubevirtInterfaces',
        'nothing is captured for virtual machines inside of pods',
      ],
      ['istio.io/reroute-virtual-interfaces', 'nothing is captured for virtual machines inside of pods'],
      ['sidecar.istio.io/bootstrapOverride', 'use an EnvoyFilter with applyTo BOOTSTRAP'],
      ['sidecar.istio.io/extraStatTags', 'tags are not taken from the names of statistics here: remove it'],
    ].map(([name = '', reason]): [string, string, string, string] => [
      name,
      'x',
      'IST0108',
      `is not supported: ${reason}`,
    ]),
  ])('refuses %s: %s', (name, value, code, message) => {
    expect(injectPod(annotated({ [name]: value }), OPTIONS)).toEqual({
      ok: false,
      error: [
        {
          severity: 'error',
          code,
          message,
          path: `metadata.annotations["${name}"]`,
          resource: { kind: 'Pod', namespace: 'default', name: 'web' },
        },
      ],
    })
  })

  it('writes what a ProxyConfig says into the environment of the proxy, whose own settings count', () => {
    const [config] = resourcesOf(
      objectYaml('networking.istio.io/v1beta1', 'ProxyConfig', 'all.istio-system', {
        concurrency: 3,
        environmentVariables: { ISTIO_META_TEAM: 'web', XDS_ADDR: 'elsewhere:1' },
      }),
    ) as ProxyConfig[]
    const env = sidecarEnv(pod(), { ...OPTIONS, proxyConfigs: config ? [config] : [] })
    expect(env).toMatchObject({
      ENVOY_CONCURRENCY: '3',
      ISTIO_META_TEAM: 'web',
      XDS_ADDR: 'seined.seine-system.svc:15012',
    })
    expect(sidecarEnv(pod())).not.toHaveProperty('ENVOY_CONCURRENCY')
  })

  it('tells the proxy the network of its pod, and callers that which its environment says', () => {
    const NETWORK = 'topology.istio.io/network'
    const labelled = pod({ labels: { [NETWORK]: 'east' } })
    expect(sidecarEnv(labelled)['ISTIO_META_NETWORK']).toBe('east')
    expect(sidecarEnv(pod())).not.toHaveProperty('ISTIO_META_NETWORK')
    const config = JSON.stringify({ proxyMetadata: { ISTIO_META_NETWORK: 'west' } })
    const told = annotated({ 'proxy.istio.io/config': config })
    expect(sidecarEnv(told)['ISTIO_META_NETWORK']).toBe('west')
    expect(injected(told).pod.metadata.labels[NETWORK]).toBe('west')
    const both = pod({ ...told.metadata, labels: { [NETWORK]: 'east' } })
    expect(sidecarEnv(both)['ISTIO_META_NETWORK']).toBe('east')
    expect(injected(both).pod.metadata.labels[NETWORK]).toBe('east')
  })

  it('leaves annotations alone that are about something else', () => {
    expect(injectPod(annotated({ 'istio.io/rev': 'x', 'example.org/sidecar': 'y' }), OPTIONS).ok).toBe(true)
  })

  it('names all that is wrong at once', () => {
    const result = injectPod(
      pod(
        {
          annotations: {
            'traffic.sidecar.istio.io/excludeInboundPorts': 'a,b',
            'sidecar.istio.io/logLevels': 'debug',
          },
        },
        { containers: [{ name: 'web', securityContext: { runAsUser: 1337 } }] },
      ),
      OPTIONS,
    )
    expect(result.ok ? [] : result.error.map(({ path, code }) => `${code} ${path}`)).toEqual([
      'IST0125 metadata.annotations["traffic.sidecar.istio.io/excludeInboundPorts"]',
      'IST0125 metadata.annotations["traffic.sidecar.istio.io/excludeInboundPorts"]',
      'IST0108 metadata.annotations["sidecar.istio.io/logLevels"]',
      'proxy-user spec.containers[0].securityContext.runAsUser',
    ])
  })

  it.each<[string, object]>([
    ['nobody says as whom it runs', {}],
    ['it runs as root', { securityContext: { runAsUser: 0 } }],
    [
      'its containers run as others',
      {
        securityContext: { runAsUser: 1000 },
        containers: [{ name: 'web' }, { name: 'logs', securityContext: { runAsUser: 1001 } }],
      },
    ],
  ])('refuses a proxyless pod when %s, as its key is for one user alone', (_name, spec) => {
    const annotations = { 'inject.istio.io/templates': 'grpc-agent' }
    const result = injectPod(pod({ annotations }, spec), OPTIONS)
    expect(result.ok ? [] : result.error.map(({ code }) => code)).toEqual(['proxyless-user'])
  })

  it('refuses what is about captured traffic for a proxyless pod, and lets it run as the proxy', () => {
    const annotations = {
      'inject.istio.io/templates': 'grpc-agent',
      'traffic.sidecar.istio.io/excludeOutboundPorts': '25',
    }
    const spec = { securityContext: { runAsUser: 1337 } }
    const result = injectPod(pod({ annotations }, spec), OPTIONS)
    expect(result.ok ? [] : result.error.map(({ code, path }) => `${code} ${path}`)).toEqual([
      'IST0108 metadata.annotations["traffic.sidecar.istio.io/excludeOutboundPorts"]',
    ])
  })

  it('refuses a pod whose application runs as the proxy, as its traffic would pass by', () => {
    const result = injectPod(pod({}, { securityContext: { runAsUser: 1337 } }), OPTIONS)
    expect(result.ok ? '' : result.error[0]?.message).toContain("1337 is the proxy's user")
    expect(injectPod(pod({}, { securityContext: { runAsUser: 1000 } }), OPTIONS).ok).toBe(true)
  })
})
