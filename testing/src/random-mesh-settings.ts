import fc from 'fast-check'
import { labels, namespaces, networkLabels, pick } from './random-words.ts'

const MESH_TEXTS = [
  '',
  'outboundTrafficPolicy: {mode: REGISTRY_ONLY}',
  'enableAutoMtls: false',
  'accessLogFile: ""',
  'rootNamespace: a',
  'localityLbSetting: {failover: [{from: r1, to: r2}]}',
  'localityLbSetting: {enabled: false}',
  'localityLbSetting: {failoverPriority: [version]}',
  'localityLbSetting: {failoverPriority: [topology.istio.io/network, version]}',
  'trustDomain: example.org',
  '{trustDomain: example.org, trustDomainAliases: [cluster.local]}',
  'inboundTrafficPolicy: {mode: LOCALHOST}',
  'discoverySelectors: [{matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [b]}]}, {matchLabels: {version: v1}}]',
  'defaultConfig: {proxyHeaders: {attemptCount: {disabled: true}, server: {value: mesh}}}',
  '{extensionProviders: [{name: o, opentelemetry: {service: web.a.svc.cluster.local, port: 80}}], defaultProviders: {tracing: [o]}}',
  'nonsense: true',
]

const MESH_NETWORKS = [
  '',
  'networks: {n1: {endpoints: [{fromRegistry: Kubernetes}], gateways: [{address: 192.0.2.7, port: 15443}]}}',
  'networks: {n1: {endpoints: [{fromCidr: 10.1.0.0/31}]}, n2: {gateways: [{address: "2001:db8::7", port: 443, locality: r2}]}}',
  'networks: {n2: {endpoints: [{fromCidr: 10.1.0.0/16}], gateways: [{registryServiceName: web.a.svc.cluster.local, port: 80}]}}',
  'networks: {n1: {endpoints: [{fromRegistry: elsewhere}]}}',
]

/** A ConfigMap of the mesh's settings and its networks, of which each may be missing or one that can't be read. */
export const meshConfig = fc
  .record({ mesh: pick(MESH_TEXTS), meshNetworks: pick(MESH_NETWORKS) }, { requiredKeys: [] })
  .map(data => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio', namespace: 'istio-system' },
    data,
  }))

/** A Namespace, of which the root one may say in which network workloads are. */
export const namespace = fc
  .record({ name: pick(namespaces), labels, network: networkLabels })
  .map(({ name, labels: own, network }) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { ...own, ...network } },
  }))
