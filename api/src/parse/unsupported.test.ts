import { describe, expect, it } from 'vitest'
import { parseYaml } from './yaml.ts'

const problems = (kind: string, spec: string) => {
  const group = kind === 'AuthorizationPolicy' ? 'security.istio.io' : 'networking.istio.io'
  const body = spec
    .trim()
    .split('\n')
    .map(line => `  ${line}`)
    .join('\n')
  const text = `apiVersion: ${group}/v1\nkind: ${kind}\nmetadata:\n  name: x\nspec:\n${body}\n`
  return parseYaml(text, 'x.yaml')
    .problems.filter(({ severity }) => severity === 'error')
    .map(({ code, path, message }) => `${code} ${path}: ${message}`)
}

describe('what the API has and nothing translates yet is refused', () => {
  it.each([
    [
      'DestinationRule',
      'host: a\nsubsets: [{name: v1, trafficPolicy: {loadBalancer: {zoneAwareLbSetting: {}}}}]',
      'unsupported spec.subsets[0].trafficPolicy.loadBalancer.zoneAwareLbSetting: zoneAwareLbSetting is not supported: a sidecar would have to know how many of its own kind there are in each zone; localityLbSetting prefers endpoints by place',
    ],
    [
      'Gateway',
      'servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"], defaultEndpoint: "127.0.0.1:80"}]',
      "unsupported spec.servers[0].defaultEndpoint: defaultEndpoint is not supported: a gateway sends nothing where no route leads, and neither does Istio's; write a VirtualService",
    ],
    ['AuthorizationPolicy', 'action: AUDIT', 'unsupported spec.action: AUDIT is not supported yet'],
    [
      'AuthorizationPolicy',
      'rules: [{when: [{key: "request.auth.claims[iss]", values: [a]}]}]',
      'unsupported spec.rules[0].when[0].key: the condition request.auth.claims[iss] is not supported yet',
    ],
  ])('%s: %s', (kind, spec, problem) => {
    expect(problems(kind, spec)).toEqual([problem])
  })

  it('takes the same fields with values that are translated', () => {
    expect(problems('DestinationRule', 'host: a\ntrafficPolicy: {loadBalancer: {simple: RANDOM}}')).toEqual(
      [],
    )
    expect(problems('AuthorizationPolicy', 'action: DENY\nrules: [{}]')).toEqual([])
  })
})
