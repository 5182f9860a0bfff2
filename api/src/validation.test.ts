import { formatProblem } from '@seine/kit'
import { describe, expect, it } from 'vitest'
import { parseYaml } from './parse/yaml.ts'

const GROUPS = {
  VirtualService: 'networking.istio.io/v1',
  DestinationRule: 'networking.istio.io/v1',
  ServiceEntry: 'networking.istio.io/v1',
  WorkloadEntry: 'networking.istio.io/v1',
  PeerAuthentication: 'security.istio.io/v1',
  AuthorizationPolicy: 'security.istio.io/v1',
  Service: 'v1',
  Pod: 'v1',
} as const
type Kind = keyof typeof GROUPS

/** What is wrong with an object, as `field: message`. */
function problemsOf(kind: Kind, spec: string, more = ''): string[] {
  const body = spec.trim().replaceAll('\n', '\n  ')
  const text = `apiVersion: ${GROUPS[kind]}\nkind: ${kind}\nmetadata: {name: x}\n${more}spec:\n  ${body}\n`
  return parseYaml(text, 'x.yaml').problems.map(({ path, message }) => `${path}: ${message}`)
}

const http = (route: string) => `hosts: [a]\nhttp: [{${route}}]`
const routed = (more: string) => http(`route: [{destination: {host: a}}], ${more}`)
const policy = (settings: string) => `host: a\ntrafficPolicy: {${settings}}`
const entry = (more: string) => `hosts: [a.example]\nports: [{number: 80, name: http}]\n${more}`
const source = (fields: string) => `rules: [{from: [{source: {${fields}}}]}]`

describe('a problem', () => {
  it('names the file, the line, the column, the object and the field', () => {
    const text = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
  namespace: shop
spec:
  hosts: [reviews]
  http:
    - route:
        - destination:
            host: reviews
            subset: 7
`
    expect(parseYaml(text, 'routes/reviews.yaml').problems.map(formatProblem)).toEqual([
      'routes/reviews.yaml:12:13: error: VirtualService shop/reviews: spec.http[0].route[0].destination.subset: must be a string [IST0106]',
    ])
  })

  it('of one object does not hide those of another, nor what is good', () => {
    const bad = 'apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 0}]}'
    const good = 'apiVersion: v1\nkind: Service\nmetadata: {name: good}\nspec: {ports: [{port: 80}]}'
    const { resources, problems } = parseYaml(
      [bad, good, bad.replace('bad', 'worse')].join('\n---\n'),
      'x.yaml',
    )
    expect(resources.map(({ metadata }) => metadata.name)).toEqual(['good'])
    expect(problems.map(({ position }) => position?.line)).toEqual([4, 14])
  })

  it('in a List has its own place', () => {
    const text =
      'apiVersion: v1\nkind: List\nitems:\n  - {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: x}]}}\n'
    expect(parseYaml(text, 'x.yaml').problems.map(({ position }) => position)).toEqual([
      { file: 'x.yaml', line: 4, column: 74 },
    ])
  })
})

describe('versions', () => {
  const text = (apiVersion: string, kind: string, spec: string) =>
    `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: x}\nspec: ${spec}\n`

  const taken: [apiVersion: string, kind: string, spec: string][] = [
    ['networking.istio.io/v1', 'DestinationRule', '{host: a}'],
    ['networking.istio.io/v1beta1', 'DestinationRule', '{host: a}'],
    ['networking.istio.io/v1alpha3', 'DestinationRule', '{host: a}'],
    ['security.istio.io/v1', 'PeerAuthentication', '{}'],
    ['security.istio.io/v1beta1', 'PeerAuthentication', '{}'],
    ['v1', 'Service', '{}'],
  ]
  it.each(taken)('%s of %s is taken', (apiVersion, kind, spec) => {
    expect(parseYaml(text(apiVersion, kind, spec), 'x.yaml').problems).toEqual([])
  })

  it.each([
    [
      'networking.istio.io/v2',
      'DestinationRule',
      'DestinationRule is not known in networking.istio.io/v2; supported: networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3',
    ],
    [
      'security.istio.io/v1alpha3',
      'PeerAuthentication',
      'PeerAuthentication is not known in security.istio.io/v1alpha3; supported: security.istio.io/v1, security.istio.io/v1beta1',
    ],
    ['v1', 'VirtualServce', 'there is no kind VirtualServce: did you mean VirtualService?'],
  ])('%s of %s is refused', (apiVersion, kind, message) => {
    const { problems } = parseYaml(text(apiVersion, kind, '{}'), 'x.yaml')
    expect(problems.map(one => one.message)).toEqual([message])
  })
})

describe('names', () => {
  const named = (kind: Kind, metadata: string) =>
    parseYaml(
      `apiVersion: ${GROUPS[kind]}\nkind: ${kind}\nmetadata: ${metadata}\nspec: {}\n`,
      'x.yaml',
    ).problems.map(({ path, message }) => `${path}: ${message}`)

  it.each([
    ['Service', '{name: a.b}', 'metadata.name: "a.b" is no valid name: lower-case letters, digits and "-"'],
    [
      'PeerAuthentication',
      '{name: A_b}',
      'metadata.name: "A_b" is no valid name: lower-case letters, digits, "-" and "."',
    ],
    [
      'PeerAuthentication',
      '{name: a, namespace: b.c}',
      'metadata.namespace: "b.c" is no valid namespace: lower-case letters, digits and "-"',
    ],
    ['PeerAuthentication', '{namespace: b}', 'metadata.name: a name is needed'],
    [
      'PeerAuthentication',
      '{name: a, labels: {x: 1}}',
      'metadata.labels.x: must be a string: write "1" in quotes',
    ],
  ] as const)('%s %s', (kind, metadata, problem) => {
    expect(named(kind, metadata)).toContain(problem)
  })
})

describe('a field that is not there', () => {
  it.each([
    [
      'VirtualService',
      http('rout: []'),
      'spec.http[0].rout: there is no field "rout" here: did you mean "route"?',
    ],
    [
      'VirtualService',
      routed('timeOut: 1s'),
      'spec.http[0].timeOut: there is no field "timeOut" here: did you mean "timeout"?',
    ],
    [
      'DestinationRule',
      'host: a\nsubset: []',
      'spec.subset: there is no field "subset" here: did you mean "subsets"?',
    ],
    [
      'DestinationRule',
      policy('loadBalancer: {simpel: RANDOM}'),
      'spec.trafficPolicy.loadBalancer.simpel: there is no field "simpel" here: did you mean "simple"?',
    ],
    [
      'PeerAuthentication',
      'mtl: {mode: STRICT}',
      'spec.mtl: there is no field "mtl" here: did you mean "mtls"?',
    ],
    [
      'AuthorizationPolicy',
      source('principal: [a]'),
      'spec.rules[0].from[0].source.principal: there is no field "principal" here: did you mean "principals"?',
    ],
    ['PeerAuthentication', 'zzzzzzzzzz: 1', 'spec.zzzzzzzzzz: there is no field "zzzzzzzzzz" here'],
  ] as const)('%s: %s', (kind, spec, problem) => {
    expect(problemsOf(kind, spec)).toContain(problem)
  })

  it('of an object itself is refused too', () => {
    expect(problemsOf('PeerAuthentication', 'mtls: {}', 'sepc: {}\n')).toEqual([
      'sepc: PeerAuthentication has no field sepc: did you mean "spec"?',
    ])
  })
})

describe('a value of the wrong type or out of range', () => {
  it.each([
    [
      'VirtualService',
      routed('timeout: 5'),
      'spec.http[0].timeout: must be a duration such as 1s, 250ms or 1h30m',
    ],
    [
      'VirtualService',
      routed('timeout: 5 seconds'),
      'spec.http[0].timeout: must be a duration such as 1s, 250ms or 1h30m',
    ],
    ['VirtualService', routed('timeout: 500us'), 'spec.http[0].timeout: must be whole milliseconds'],
    ['VirtualService', routed('timeout: 9999999h'), 'spec.http[0].timeout: must be at most a hundred years'],
    [
      'VirtualService',
      routed('retries: {perTryTimeout: 0s}'),
      'spec.http[0].retries.perTryTimeout: must be at least 1ms',
    ],
    [
      'VirtualService',
      routed('retries: {attempts: -1}'),
      'spec.http[0].retries.attempts: attempts is 0 or more',
    ],
    [
      'VirtualService',
      routed('retries: {attempts: 0, retryOn: 5xx}'),
      'spec.http[0].retries.attempts: 0 turns retrying off: leave the other fields out',
    ],
    [
      'VirtualService',
      http('route: [{destination: {host: a, port: {number: 70000}}}]'),
      'spec.http[0].route[0].destination.port.number: a port is 1 to 65535',
    ],
    [
      'VirtualService',
      http('route: [{destination: {host: a}, weight: -1}]'),
      'spec.http[0].route[0].weight: a weight is 0 or more',
    ],
    [
      'VirtualService',
      http('route: [{destination: {host: a}}, {destination: {host: b}}]'),
      'spec.http[0].route: the weights of the destinations are all 0: give at least one a weight',
    ],
    [
      'VirtualService',
      http('route: [{destination: {host: a}, weight: 4294967295}, {destination: {host: b}, weight: 1}]'),
      'spec.http[0].route: the weights add up to more than 4294967295',
    ],
    [
      'VirtualService',
      routed('fault: {delay: {fixedDelay: 1s, percentage: {value: 101}}}'),
      'spec.http[0].fault.delay.percentage.value: a percentage is 0 to 100',
    ],
    [
      'VirtualService',
      routed('fault: {abort: {grpcStatus: NOPE}}'),
      'spec.http[0].fault.abort.grpcStatus: must be a gRPC status such as NOT_FOUND, or its number',
    ],
    ['VirtualService', routed('fault: {}'), 'spec.http[0].fault: one of delay, abort must be set'],
    [
      'VirtualService',
      routed('match: [{uri: {regex: "(?=a)"}}]'),
      'spec.http[0].match[0].uri.regex: is no regular expression of RE2: look-around does not exist',
    ],
    [
      'VirtualService',
      routed('match: [{uri: {exact: /a, prefix: /b}}]'),
      'spec.http[0].match[0].uri.prefix: only one of exact, prefix, regex can be set',
    ],
    [
      'VirtualService',
      routed('match: [{method: {}}]'),
      'spec.http[0].match[0].method: one of exact, prefix, regex must be set',
    ],
    [
      'VirtualService',
      routed('match: [{headers: {"a b": {exact: c}}}]'),
      'spec.http[0].match[0].headers["a b"]: must be the name of a header',
    ],
    [
      'VirtualService',
      routed('headers: {request: {remove: [host]}}'),
      'spec.http[0].headers.request.remove[0]: the host is no header here: set it for requests, or use rewrite.authority',
    ],
    [
      'VirtualService',
      routed('headers: {response: {set: {a: "100%"}}}'),
      'spec.http[0].headers.response.set.a: a percent sign begins an operator such as %REQ(x-user)%; write %% for the sign itself',
    ],
    [
      'VirtualService',
      routed("rewrite: {uriRegexRewrite: {match: '/(a)', rewrite: '/\\2'}}"),
      'spec.http[0].rewrite.uriRegexRewrite.rewrite: a backslash is followed by the number of a group of match, or by another one',
    ],
    [
      'VirtualService',
      http('redirect: {redirectCode: 200}'),
      'spec.http[0].redirect.redirectCode: must be 301, 302, 303, 307 or 308',
    ],
    [
      'VirtualService',
      http('directResponse: {status: 99}'),
      'spec.http[0].directResponse.status: a status is 200 to 599',
    ],
    [
      'VirtualService',
      'hosts: ["a..b"]\nhttp: [{directResponse: {status: 200}}]',
      'spec.hosts[0]: "" is no part of a host name: letters, digits and "-"',
    ],
    ['VirtualService', 'hosts: [a]', 'spec: at least one of http, tls and tcp must hold a route'],
    [
      'DestinationRule',
      policy('loadBalancer: {simple: FAIR}'),
      'spec.trafficPolicy.loadBalancer.simple: must be one of UNSPECIFIED, LEAST_CONN, RANDOM, PASSTHROUGH, ROUND_ROBIN, LEAST_REQUEST',
    ],
    [
      'DestinationRule',
      policy('loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}'),
      'spec.trafficPolicy.loadBalancer.consistentHash: only one of simple, consistentHash can be set',
    ],
    [
      'DestinationRule',
      policy('loadBalancer: {consistentHash: {}}'),
      'spec.trafficPolicy.loadBalancer.consistentHash: one of httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName must be set',
    ],
    [
      'DestinationRule',
      policy('loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 100}}}'),
      'spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize: must be a prime number',
    ],
    [
      'DestinationRule',
      policy('loadBalancer: {simple: RANDOM, warmupDurationSecs: 1m}'),
      'spec.trafficPolicy.loadBalancer.warmupDurationSecs: goes with ROUND_ROBIN and LEAST_REQUEST only',
    ],
    [
      'DestinationRule',
      policy('connectionPool: {tcp: {tcpKeepalive: {time: 1ms}}}'),
      'spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.time: must be at least 1s',
    ],
    [
      'DestinationRule',
      policy('connectionPool: {tcp: {maxConnections: 1.5}}'),
      'spec.trafficPolicy.connectionPool.tcp.maxConnections: must be a whole number',
    ],
    [
      'DestinationRule',
      policy('tls: {mode: MUTUAL}'),
      'spec.trafficPolicy.tls.mode: MUTUAL needs clientCertificate and privateKey, or credentialName',
    ],
    [
      'DestinationRule',
      policy('tls: {mode: ISTIO_MUTUAL, privateKey: /k}'),
      "spec.trafficPolicy.tls.mode: ISTIO_MUTUAL uses the mesh's own certificates: leave the certificate fields out",
    ],
    [
      'DestinationRule',
      policy('tls: {sni: a}'),
      'spec.trafficPolicy.tls.sni: goes with mode SIMPLE, MUTUAL or ISTIO_MUTUAL',
    ],
    [
      'DestinationRule',
      policy('portLevelSettings: [{port: {number: 80}}, {port: {number: 80}}]'),
      'spec.trafficPolicy.portLevelSettings[1].port.number: there are settings for port 80 already',
    ],
    [
      'DestinationRule',
      'host: a\nsubsets: [{name: v1}, {name: v1}]',
      'spec.subsets[1].name: there is already a subset v1: names must differ',
    ],
    ['DestinationRule', 'subsets: []', 'spec.host: is needed'],
    [
      'ServiceEntry',
      entry('addresses: [a]'),
      'spec.addresses[0]: must be an IP address or a range such as 10.0.0.0/8',
    ],
    [
      'ServiceEntry',
      entry('resolution: STATIC'),
      'spec.resolution: STATIC without endpoints and workloadSelector leads nowhere',
    ],
    [
      'ServiceEntry',
      entry('resolution: STATIC\nendpoints: [{address: a.example}]'),
      'spec.endpoints[0].address: must be an IP address: host names go with resolution DNS',
    ],
    [
      'ServiceEntry',
      entry('endpoints: [{address: 10.0.0.1}]'),
      'spec.endpoints: resolution NONE takes no endpoints: set resolution to STATIC or DNS',
    ],
    [
      'ServiceEntry',
      entry('resolution: DNS_ROUND_ROBIN\nendpoints: [{address: a.example}, {address: b.example}]'),
      'spec.endpoints[1]: resolution DNS_ROUND_ROBIN has one endpoint at most',
    ],
    [
      'ServiceEntry',
      entry('resolution: DNS\nendpoints: [{address: a.example, ports: {htp: 80}}]'),
      'spec.endpoints[0].ports.htp: this ServiceEntry has no port named htp',
    ],
    [
      'ServiceEntry',
      'hosts: ["*.a.example"]\nresolution: DNS',
      'spec.hosts[0]: a wildcard host with resolution DNS needs endpoints',
    ],
    ['ServiceEntry', 'hosts: []', 'spec.hosts: needs at least one host'],
    [
      'ServiceEntry',
      'hosts: [a.example]\nports: [{number: 80, name: a}, {number: 80, name: a}]',
      'spec.ports[1].name: there is already a port named a',
    ],
    [
      'WorkloadEntry',
      'labels: {}',
      'spec.address: is needed, or a network whose gateway leads to the workload',
    ],
    [
      'WorkloadEntry',
      'address: unix://a',
      'spec.address: a Unix domain socket is given by its absolute path, or by "@" and an abstract name',
    ],
    [
      'PeerAuthentication',
      'mtls: {mode: ON}',
      'spec.mtls.mode: must be one of UNSET, DISABLE, PERMISSIVE, STRICT',
    ],
    [
      'PeerAuthentication',
      'portLevelMtls: {80: {mode: STRICT}}',
      'spec.portLevelMtls: needs a selector: ports differ between workloads',
    ],
    [
      'AuthorizationPolicy',
      source('ipBlocks: [a]'),
      'spec.rules[0].from[0].source.ipBlocks[0]: must be an IP address or a range such as 10.0.0.0/8',
    ],
    [
      'AuthorizationPolicy',
      source('principals: []'),
      'spec.rules[0].from[0].source.principals: must not be empty: leave the field out instead',
    ],
    [
      'AuthorizationPolicy',
      'rules: [{to: [{operation: {ports: ["0"]}}]}]',
      'spec.rules[0].to[0].operation.ports[0]: a port is 1 to 65535',
    ],
    [
      'AuthorizationPolicy',
      'rules: [{when: [{key: destination.port, values: [http]}]}]',
      'spec.rules[0].when[0].values[0]: must be a port number',
    ],
    [
      'AuthorizationPolicy',
      'rules: [{when: [{key: source.ip, notValues: [a]}]}]',
      'spec.rules[0].when[0].notValues[0]: must be an IP address or a range such as 10.0.0.0/8',
    ],
    [
      'AuthorizationPolicy',
      'rules: [{when: [{key: source.ip}]}]',
      'spec.rules[0].when[0]: one of values, notValues must be set',
    ],
    [
      'AuthorizationPolicy',
      'action: DENY',
      'spec.rules: a DENY policy without rules never applies: write rules, or rules: [{}] for every request',
    ],
    ['Service', 'ports: [{port: 80}, {port: 80, name: b}]', 'spec.ports[1].port: there is already a port 80'],
    ['Service', 'clusterIP: a', 'spec.clusterIP: must be an IP address or None'],
    ['Service', 'type: ExternalName', 'spec.externalName: is needed with type ExternalName'],
    ['Pod', 'containers: []', 'spec.containers: needs at least one container'],
  ] as const)('%s: %s', (kind, spec, problem) => {
    expect(problemsOf(kind, spec)).toContain(problem)
  })
})

describe('what does not go together', () => {
  it.each([
    'rewrite: {uri: /x}',
    'timeout: 1s',
    'retries: {attempts: 1}',
    'mirror: {host: b}',
    'fault: {abort: {httpStatus: 500}}',
  ])('a redirect and %s', more => {
    const [field] = more.split(':')
    expect(problemsOf('VirtualService', http(`redirect: {uri: /y}, ${more}`))).toEqual([
      `spec.http[0].${field}: goes with route: a redirect or direct response reaches no destination`,
    ])
  })

  it('a share of copies, and nobody to send them to', () => {
    expect(problemsOf('VirtualService', routed('mirrorPercentage: {value: 5}'))).toEqual([
      'spec.http[0].mirrorPercentage: goes with mirror',
    ])
  })
})

describe('what Istio takes is taken', () => {
  it.each([
    [
      'VirtualService',
      'hosts: [Reviews.Default.svc.cluster.local., "*.example.com", 10.0.0.1, "2001:db8::1"]\nhttp: [{directResponse: {status: 200}}]',
    ],
    ['VirtualService', routed('match: [{uri: {prefix: ""}}]')],
    ['VirtualService', routed('match: [{headers: {x: {}, ":method": {exact: GET}}}]')],
    ['VirtualService', routed('headers: {request: {set: {":authority": b.example}}}')],
    [
      'VirtualService',
      routed('headers: {response: {add: {a: "%DOWNSTREAM_REMOTE_ADDRESS% 100%% %REQ(x)%"}}}'),
    ],
    ['VirtualService', routed('retries: {attempts: 3, retryOn: "5xx,gateway-error, 503"}')],
    ['VirtualService', routed('timeout: 0s')],
    ['VirtualService', routed('timeout: 1h1m1.5s')],
    ['DestinationRule', policy('tls: {}')],
    ['DestinationRule', policy('outlierDetection: {}')],
    ['ServiceEntry', 'hosts: ["*.example.com"]\nports: [{number: 443, name: tls, protocol: tls}]'],
    ['ServiceEntry', entry('resolution: DNS\nendpoints: [{address: 10.0.0.1}, {address: b.example}]')],
    ['AuthorizationPolicy', '{}'],
    ['AuthorizationPolicy', 'rules: [{}]'],
    ['Service', 'clusterIP: ""\nports: [{port: 53, protocol: UDP, name: a}, {port: 53, name: b}]'],
  ] as const)('%s: %s', (kind, spec) => {
    expect(problemsOf(kind, spec)).toEqual([])
  })
})
