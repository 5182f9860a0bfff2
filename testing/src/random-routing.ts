import fc from 'fast-check'
import {
  duration,
  headerName,
  hosts,
  label,
  labels,
  mostly,
  oneOf,
  percentage,
  pick,
  portNumbers,
  some,
  stringMatch,
} from './random-words.ts'

type Body = Record<string, unknown>

const destination = fc.record(
  {
    host: pick(hosts),
    subset: label,
    port: pick(portNumbers).map(number => ({ number })),
  },
  { requiredKeys: ['host'] },
)

/** Mostly what is there, so that routes are not all held back for leading nowhere. */
const likelyDestination = fc.oneof(
  { arbitrary: pick(['web', 'web.a.svc.cluster.local']).map(host => ({ host })), weight: 3 },
  { arbitrary: destination, weight: 1 },
)

const operations = some({
  set: fc.dictionary(headerName, mostly(['1', '%REQ(x)%'], ['100%', 'a\nb']), { maxKeys: 2 }),
  add: fc.dictionary(headerName, pick(['1', '']), { maxKeys: 2 }),
  remove: fc.array(headerName, { maxLength: 2 }),
})
const headers = some({ request: operations, response: operations })

const target = fc.record(
  { destination: likelyDestination, weight: mostly([1, 50, 100], [0, 4_294_967_295]), headers },
  { requiredKeys: ['destination'] },
)
const targets = fc.array(target, { minLength: 1, maxLength: 3 })

const httpMatch = some({
  name: pick(['m']),
  uri: stringMatch,
  scheme: pick(['http']).map(exact => ({ exact })),
  method: stringMatch,
  authority: stringMatch,
  headers: fc.dictionary(headerName, stringMatch, { maxKeys: 2 }),
  withoutHeaders: fc.dictionary(headerName, stringMatch, { maxKeys: 1 }),
  queryParams: fc.dictionary(mostly(['q'], ['']), stringMatch, { maxKeys: 1 }),
  ignoreUriCase: fc.boolean(),
  port: pick(portNumbers),
  sourceLabels: labels,
  sourceNamespace: pick(['a', 'b']),
  gateways: fc.array(pick(['mesh', 'outside']), { maxLength: 1 }),
  statPrefix: pick(['one', '']),
})

const fault = oneOf({
  delay: fc.record({ fixedDelay: duration, percentage }),
  abort: fc
    .tuple(
      oneOf({
        httpStatus: pick([200, 503, 599]),
        grpcStatus: mostly(['NOT_FOUND', '14'], ['nonsense']),
      }),
      some({ percentage }),
    )
    .map(([status, share]) => ({ ...status, ...share })),
})

const common = {
  name: pick(['route']),
  match: fc.array(httpMatch, { maxLength: 2 }),
  headers,
  corsPolicy: some({
    allowOrigins: fc.array(stringMatch, { maxLength: 2 }),
    allowOrigin: fc.constant(['*', 'https://example.com']),
    allowMethods: fc.constant(['GET', 'POST']),
    allowHeaders: fc.constant(['x-user']),
    exposeHeaders: fc.constant(['x-user']),
    maxAge: duration,
    allowCredentials: fc.boolean(),
    unmatchedPreflights: pick(['FORWARD', 'IGNORE']),
  }),
}

const mirror = fc.record({ destination: likelyDestination, percentage })

const routed = fc
  .tuple(
    targets,
    some({
      ...common,
      fault,
      rewrite: oneOf({
        uri: mostly(['/', '/b'], ['']),
        authority: mostly(['other.example'], ['']),
        uriRegexRewrite: fc.record({
          match: mostly(['^/a(.*)'], ['(']),
          rewrite: mostly(['/\\1'], ['/\\9']),
        }),
      }),
      timeout: duration,
      retries: some({
        attempts: mostly([1, 2, 3], [0]),
        perTryTimeout: duration,
        retryOn: mostly(['5xx,503', 'connect-failure'], ['', 'nonsense']),
        backoff: duration,
        retryIgnorePreviousHosts: fc.boolean(),
        retryRemoteLocalities: fc.boolean(),
      }),
    }),
    fc.oneof(
      { arbitrary: fc.constant({}), weight: 3 },
      { arbitrary: fc.record({ mirror: likelyDestination, mirrorPercentage: percentage }), weight: 1 },
      { arbitrary: fc.record({ mirrors: fc.array(mirror, { maxLength: 2 }) }), weight: 1 },
    ),
  )
  .map(([route, rest, mirrors]): Body => ({ ...rest, ...mirrors, route }))

const redirected = fc
  .tuple(
    some({
      uri: mostly(['/new'], ['']),
      authority: pick(['other.example']),
      port: pick(portNumbers),
      derivePort: pick(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT']),
      scheme: pick(['http', 'https']),
      redirectCode: pick([301, 308]),
      prefixRewrite: pick(['/newer']),
    }),
    some(common),
  )
  .map(([redirect, rest]): Body => ({ ...rest, redirect }))

const answered = fc
  .tuple(
    fc.record({
      status: pick([200, 404, 599]),
      body: oneOf({ string: pick(['no', '']), bytes: mostly(['aGVsbG8='], ['not base64']) }),
    }),
    some(common),
  )
  .map(([directResponse, rest]): Body => ({ ...rest, directResponse }))

/** Who delegates to whom is a matter of luck: names are few. */
const delegating = fc
  .tuple(
    fc.record({ name: pick(['web', 'delegate']), namespace: pick(['a', 'b']) }, { requiredKeys: ['name'] }),
    some({ name: common.name, match: common.match, headers }),
  )
  .map(([delegate, rest]): Body => ({ ...rest, delegate }))

const tcpRoute = fc.record(
  {
    route: fc.array(
      fc.record(
        { destination: likelyDestination, weight: pick([0, 1, 50]) },
        { requiredKeys: ['destination'] },
      ),
      { minLength: 1, maxLength: 3 },
    ),
    match: fc.array(
      some({
        port: pick(portNumbers),
        sourceLabels: labels,
        sourceNamespace: pick(['a']),
        gateways: fc.array(pick(['mesh', 'outside']), { maxLength: 1 }),
      }),
      { maxLength: 2 },
    ),
  },
  { requiredKeys: ['route'] },
)

const virtualServiceSpec = fc.record(
  {
    hosts: fc.array(pick(hosts), { minLength: 1, maxLength: 2 }),
    gateways: fc.constantFrom<string[]>([], ['mesh']),
    exportTo: fc.array(pick(['*', '.', 'b']), { maxLength: 1 }),
    http: fc.array(
      fc.oneof(
        { arbitrary: routed, weight: 4 },
        { arbitrary: redirected, weight: 1 },
        { arbitrary: answered, weight: 1 },
        { arbitrary: delegating, weight: 2 },
      ),
      { maxLength: 3 },
    ),
    tcp: fc.array(tcpRoute, { maxLength: 2 }),
  },
  { requiredKeys: ['hosts'] },
)

const delegateSpec = fc.record(
  {
    exportTo: fc.array(pick(['*', '.', 'b']), { maxLength: 1 }),
    http: fc.array(fc.oneof(routed, redirected, answered), { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: ['http'] },
)

/** The body of a VirtualService. */
export const randomVirtualService: fc.Arbitrary<Body> = fc.record({
  spec: fc.oneof({ arbitrary: virtualServiceSpec, weight: 3 }, { arbitrary: delegateSpec, weight: 1 }),
})

const hashing = fc
  .tuple(
    oneOf({
      httpHeaderName: mostly(['x-user'], ['', 'host']),
      httpCookie: fc.record(
        {
          name: mostly(['session'], ['']),
          path: pick(['/']),
          ttl: duration,
          attributes: pick([[{ name: 'SameSite', value: 'Strict' }, { name: 'Secure' }], [{ name: '' }]]),
        },
        { requiredKeys: ['name'] },
      ),
      useSourceIp: fc.constant(true),
      httpQueryParameterName: pick(['q']),
    }),
    oneOf({
      ringHash: some({ minimumRingSize: mostly([0, 1024], [99_999_999]) }),
      maglev: some({ tableSize: mostly([65_537], [65_536, 0]) }),
      minimumRingSize: mostly([1], [9_000_000]),
    }),
  )
  .map(([by, size]): Body => ({ ...by, ...size }))

const warming = oneOf({
  warmup: fc.record(
    { duration, minimumPercent: pick([0, 10, 100]), aggression: pick([1, 2.5]) },
    { requiredKeys: ['duration'] },
  ),
  warmupDurationSecs: duration,
})

const place = pick(['r1', 'r1/z1', 'r1/z1/s1', 'r2/z1', 'r1/*', '*'])
const failover = fc.array(fc.record({ from: pick(['r1']), to: mostly(['r2'], ['r1']) }), { maxLength: 1 })
const localityLbSetting = fc.oneof(
  some({ enabled: fc.boolean(), failover }),
  some({
    failover,
    failoverPriority: pick([['version'], ['version=v1', 'app'], ['topology.kubernetes.io/zone']]),
  }),
  fc
    .array(
      fc.tuple(place, place).map(([from, to]) => ({ from, to: { [to]: 100 } })),
      { maxLength: 1 },
    )
    .map(distribute => ({ distribute })),
)

const loadBalancer = fc.oneof(
  pick(['UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST']).map(
    (simple): Body => ({ simple }),
  ),
  hashing.map((consistentHash): Body => ({ consistentHash })),
  warming,
  localityLbSetting.map((setting): Body => ({ localityLbSetting: setting })),
)

const count = mostly([1, 100, 4_294_967_295], [0, -1])

const policy = {
  loadBalancer,
  connectionPool: some({
    tcp: some({
      maxConnections: count,
      connectTimeout: duration,
      tcpKeepalive: some({ probes: count, time: mostly(['1h'], ['250ms']), interval: pick(['75s']) }),
      maxConnectionDuration: duration,
      idleTimeout: duration,
    }),
    http: some({
      http1MaxPendingRequests: count,
      http2MaxRequests: count,
      maxRequestsPerConnection: count,
      maxRetries: count,
      idleTimeout: duration,
      h2UpgradePolicy: pick(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE']),
      useClientProtocol: fc.boolean(),
      maxConcurrentStreams: mostly([1, 100], [0, 4_294_967_295]),
      http2KeepAlive: fc.record({ interval: duration, timeout: duration }),
    }),
  }),
  outlierDetection: some({
    splitExternalLocalOriginErrors: fc.boolean(),
    consecutiveLocalOriginFailures: count,
    consecutiveGatewayErrors: count,
    consecutive5xxErrors: count,
    interval: duration,
    baseEjectionTime: duration,
    maxEjectionPercent: pick([0, 100]),
    minHealthPercent: pick([0, 100]),
    consecutiveErrors: mostly([0, 3], [-1]),
    outlierDetectionHttpErrorCodes: mostly([[], [500], [429, 503]], [[99]]),
  }),
  tls: fc.oneof(
    fc.constant<Body>({ mode: 'DISABLE' }),
    fc
      .tuple(
        pick(['SIMPLE', 'ISTIO_MUTUAL']),
        some({
          subjectAltNames: pick([[], ['example.com'], ['spiffe://cluster.local/ns/a/sa/web']]),
          sni: pick(['example.com', '']),
          insecureSkipVerify: fc.boolean(),
        }),
      )
      .map(([mode, rest]): Body => ({ mode, ...rest })),
  ),
}

const trafficPolicy = some({
  ...policy,
  tunnel: fc.record(
    {
      protocol: pick(['CONNECT', 'POST']),
      targetHost: mostly(['far.example', '2001:db8::1'], ['']),
      targetPort: pick([443]),
    },
    { requiredKeys: ['targetHost', 'targetPort'] },
  ),
  proxyProtocol: some({ version: pick(['V1', 'V2']) }),
  retryBudget: some({
    percent: mostly([0, 12.5, 100], [101]),
    minRetryConcurrency: count,
    budgetInterval: duration,
  }),
  portLevelSettings: fc.array(
    fc.tuple(pick(portNumbers), some(policy)).map(([number, rest]): Body => ({ ...rest, port: { number } })),
    { maxLength: 2 },
  ),
})

/** The body of a DestinationRule. */
export const randomDestinationRule: fc.Arbitrary<Body> = fc.record({
  spec: fc.record(
    {
      host: fc.oneof(pick(['web', '*.a.svc.cluster.local']), pick(hosts)),
      trafficPolicy,
      subsets: fc.array(
        fc.record({ name: label, labels: labels, trafficPolicy }, { requiredKeys: ['name'] }),
        { maxLength: 2 },
      ),
      exportTo: fc.array(pick(['*', '.', 'b']), { maxLength: 1 }),
      workloadSelector: fc.record({ matchLabels: labels }),
    },
    { requiredKeys: ['host'] },
  ),
})
