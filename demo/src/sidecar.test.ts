import { captureRules } from '@seine/injector'
import { expect, it } from 'vitest'
import { PATHS } from './paths.ts'
import { expandDeployment } from './runtime/expand.ts'
import { deploymentsOf, namespaceLabels, readManifests } from './runtime/manifests.ts'
import { makeSidecar, rulesWithoutUsers } from './sidecar.ts'

it('gives a sidecar to each pod of the application and to none outside the mesh', async () => {
  const { resources } = await readManifests(PATHS.app)
  const labels = namespaceLabels(resources)
  const inject = makeSidecar(true, {})
  const injected = deploymentsOf(resources)
    .flatMap(expandDeployment)
    .map(pod => ({ workload: pod.workload, result: inject(pod, labels.get(pod.metadata.namespace) ?? {}) }))
  for (const { workload, result } of injected) {
    expect(result.ok).toBe(true)
    const containers = result.ok ? result.value.pod.spec.containers.map(one => one.name) : []
    expect(containers.includes('seine-proxy')).toBe(workload !== 'quotes-v1')
    // What is outside has no sidecar, and a gateway captures nothing.
    expect(result.ok && result.value.rules !== undefined).toBe(!['quotes-v1', 'ingress'].includes(workload))
  }
})

it('knows the proxy by its mark where there are no user ids, and lets the agent reach the control plane', () => {
  const rules = captureRules({
    proxyUid: 1337,
    includeInboundPorts: '*',
    excludeInboundPorts: [],
    includeOutboundPorts: [],
    excludeOutboundPorts: [],
    includeOutboundIpRanges: '*',
    excludeOutboundIpRanges: [],
    excludeInterfaces: [],
    captureDns: true,
  })
  const lines = rulesWithoutUsers(rules, true).split('\n')
  expect(lines.join('\n')).not.toContain('owner')
  expect(lines).toContain('-A ISTIO_OUTPUT -m mark --mark 0x539 -j RETURN')
  const output = lines.filter(line => line.startsWith('-A OUTPUT'))
  expect(output[0]).toBe('-A OUTPUT -d 10.77.0.1/32 -j RETURN')
  expect(output[1]).toContain('-m mark ! --mark 0x539 -j REDIRECT --to-ports 15053')
})
