import type { AgentSettings } from '../src/settings.ts'

/** The settings of a reviews pod, with what a test changes. */
export function testSettings(changes: Partial<AgentSettings> = {}): AgentSettings {
  return {
    proxyType: 'sidecar',
    podName: 'reviews-v1-abc',
    namespace: 'default',
    ip: '10.0.0.7',
    ips: ['10.0.0.7'],
    serviceAccount: 'bookinfo-reviews',
    workloadName: 'reviews-v1',
    labels: { app: 'reviews', version: 'v1' },
    group: undefined,
    network: undefined,
    allowExecProbes: false,
    clusterId: 'Kubernetes',
    trustDomain: 'cluster.local',
    caAddress: '127.0.0.1:15012',
    xdsAddress: '127.0.0.1:15012',
    otlpAddress: '127.0.0.1:4317',
    tokenFile: '/nowhere/token',
    rootCertFile: '/nowhere/root-cert.pem',
    runDir: '/run/seine',
    envoyPath: undefined,
    concurrency: 1,
    metadata: {},
    drainMs: 0,
    certificateTtlMs: 3_600_000,
    resolvConf: '/nowhere/resolv.conf',
    applicationMetrics: undefined,
    proxyless: undefined,
    ports: { admin: 15000, dns: 15053, metrics: 15020, health: 15021, prometheus: 15090 },
    ...changes,
  }
}
