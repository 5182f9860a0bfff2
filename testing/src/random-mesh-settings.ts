import { pick } from './random-words.ts'

const MESH_TEXTS = [
  '',
  'outboundTrafficPolicy: {mode: REGISTRY_ONLY}',
  'enableAutoMtls: false',
  'accessLogFile: ""',
  'rootNamespace: a',
  'localityLbSetting: {failover: [{from: r1, to: r2}]}',
  'localityLbSetting: {enabled: false}',
  'localityLbSetting: {failoverPriority: [version]}',
  'trustDomain: example.org',
  '{trustDomain: example.org, trustDomainAliases: [cluster.local]}',
  'inboundTrafficPolicy: {mode: LOCALHOST}',
  'discoverySelectors: [{matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [b]}]}, {matchLabels: {version: v1}}]',
  'defaultConfig: {proxyHeaders: {attemptCount: {disabled: true}, server: {value: mesh}}}',
  '{extensionProviders: [{name: o, opentelemetry: {service: web.a.svc.cluster.local, port: 80}}], defaultProviders: {tracing: [o]}}',
  'nonsense: true',
]

/** A ConfigMap of the mesh's settings, some of which can't be read. */
export const meshConfig = pick(MESH_TEXTS).map(mesh => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'istio', namespace: 'istio-system' },
  data: { mesh },
}))
