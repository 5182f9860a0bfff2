import { beforeAll, expect, test } from 'vitest'
import {
  Ask,
  countBy,
  describeMesh,
  destinationRule,
  eventually,
  expectShare,
  freshId,
  growthOf,
  seenBy,
  to,
  virtualService,
} from '../harness/index.ts'

const REQUESTS = 'istio_requests_total'

describeMesh('timeouts, retries, faults and mirrors', mesh => {
  const client = () => mesh().pod('client')
  const apply = (...http: readonly Record<string, unknown>[]) =>
    mesh().apply('policies', virtualService('echo', http))
  const statuses = async (options: Parameters<ReturnType<typeof client>['http']>[1]) =>
    countBy(await client().http('http://echo/', options), ({ status }) => String(status))

  beforeAll(() => mesh().apply('policies-subsets', destinationRule('echo')))

  test('a timeout answers 504, with the flag UT in the metrics', async () => {
    await apply({ timeout: '0.2s', route: [to('echo', 'v1')] })
    const timeouts = await growthOf(client(), REQUESTS, { response_code: '504', response_flags: 'UT' })
    const answer = await client().get('http://echo/', { [Ask.delay]: '3000' })
    expect([answer.status, answer.body]).toEqual([504, 'upstream request timeout'])
    await eventually(async () => expect(await timeouts()).toBe(1))
    expect(await statuses({ count: 3 })).toEqual({ 200: 3 })
  })

  test('failures are retried until a success, and each attempt reaches the server', async () => {
    await apply({ retries: { attempts: 3, retryOn: '5xx', perTryTimeout: '2s' }, route: [to('echo', 'v1')] })
    const id = freshId()
    const answer = await client().get('http://echo/', { [Ask.id]: id, [Ask.failFirst]: '2' })
    expect(answer.status).toBe(200)
    expect(answer.echo?.headers['x-envoy-attempt-count']).toBe('3')
    expect(await seenBy(mesh().pods('echo'), id)).toBe(3)
  })

  test('retries end with the last failure', async () => {
    await apply({ retries: { attempts: 2, retryOn: '5xx' }, route: [to('echo', 'v1')] })
    const id = freshId()
    const answer = await client().get('http://echo/', { [Ask.id]: id, [Ask.failFirst]: '9' })
    expect(answer.status).toBe(503)
    expect(await seenBy(mesh().pods('echo'), id)).toBe(3)
  })

  test('attempts: 0 turns retries off', async () => {
    await apply({ retries: { attempts: 0 }, route: [to('echo', 'v1')] })
    const id = freshId()
    expect((await client().get('http://echo/', { [Ask.id]: id, [Ask.failFirst]: '1' })).status).toBe(503)
    expect(await seenBy(mesh().pods('echo'), id)).toBe(1)
  })

  test('only what retryOn names is retried', async () => {
    await apply({ retries: { attempts: 2, retryOn: 'connect-failure,418' }, route: [to('echo', 'v1')] })
    const failing = async (status: string) => {
      const id = freshId()
      const answer = await client().get('http://echo/', {
        [Ask.id]: id,
        [Ask.failFirst]: '1',
        [Ask.status]: status,
      })
      return [answer.status, await seenBy(mesh().pods('echo'), id)]
    }
    expect(await failing('418')).toEqual([200, 2])
    expect(await failing('500')).toEqual([500, 1])
  })

  test('without a policy, what may have reached the application is not tried again', async () => {
    const id = freshId()
    const answer = await client().get('http://echo/', {
      [Ask.id]: id,
      [Ask.failFirst]: '1',
      [Ask.status]: '500',
    })
    expect(answer.status).toBe(500)
    expect(await seenBy(mesh().pods('echo'), id)).toBe(1)
  })

  test('an attempt that is too slow is tried again', async () => {
    await apply({
      timeout: '10s',
      retries: { attempts: 2, retryOn: '5xx', perTryTimeout: '0.2s' },
      route: [to('echo', 'v1')],
    })
    const id = freshId()
    const answer = await client().get('http://echo/', { [Ask.id]: id, [Ask.delay]: '2000' })
    expect(answer.status).toBe(504)
    expect(await seenBy(mesh().pods('echo'), id)).toBe(3)
  })

  test('a retry goes to another endpoint', async () => {
    await mesh().apply(
      'policies',
      virtualService('echo', [{ retries: { attempts: 2, retryOn: '5xx' }, route: [to('echo')] }]),
    )
    await mesh().pod('echo-v2').misbehave({ status: 503 })
    try {
      const answers = await client().http('http://echo/', { count: 60 })
      expect(countBy(answers, ({ status }) => String(status))).toEqual({ 200: 60 })
      expect(Object.keys(countBy(answers, ({ echo }) => echo?.version)).sort()).toEqual(['v1', 'v3'])
    } finally {
      await mesh().pod('echo-v2').misbehave({})
    }
  })

  test('a delay holds requests up by its length, with the flag DI', async () => {
    await apply({
      fault: { delay: { fixedDelay: '0.4s', percentage: { value: 100 } } },
      route: [to('echo', 'v1')],
    })
    const delayed = await growthOf(client(), REQUESTS, { response_code: '200', response_flags: 'DI' })
    const answers = await client().http('http://echo/', { count: 4, concurrency: 4 })
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    for (const { ms } of answers) expect(ms).toBeGreaterThanOrEqual(400)
    await eventually(async () => expect(await delayed()).toBe(4))
  })

  test('a delay for a share of the requests', async () => {
    await apply({
      fault: { delay: { fixedDelay: '0.02s', percentage: { value: 50 } } },
      route: [to('echo', 'v1')],
    })
    const delayed = await growthOf(client(), REQUESTS, { response_flags: 'DI' })
    const all = await growthOf(client(), REQUESTS, { reporter: 'source', destination_service_name: 'echo' })
    expect(await statuses({ count: 300, concurrency: 10 })).toEqual({ 200: 300 })
    await eventually(async () => expect(await all()).toBe(300))
    expectShare(await delayed(), 300, 0.5)
  })

  test('an abort answers in place of the service, for a share of the requests', async () => {
    await apply({
      fault: { abort: { httpStatus: 418, percentage: { value: 30 } } },
      route: [to('echo', 'v1')],
    })
    const id = freshId()
    const aborted = await growthOf(client(), REQUESTS, { response_code: '418', response_flags: 'FI' })
    const counts = await statuses({ count: 400, concurrency: 8, headers: { [Ask.id]: id } })
    const [passed, refused] = [counts['200'] ?? 0, counts['418'] ?? 0]
    expect(passed + refused).toBe(400)
    expectShare(refused, 400, 0.3)
    expect(await seenBy(mesh().pods('echo'), id)).toBe(passed)
    await eventually(async () => expect(await aborted()).toBe(refused))
  })

  test('a fault for some requests leaves the others alone', async () => {
    await apply(
      {
        match: [{ headers: { 'x-tester': { exact: 'yes' } } }],
        fault: { abort: { httpStatus: 500, percentage: { value: 100 } } },
        route: [to('echo', 'v1')],
      },
      { route: [to('echo', 'v1')] },
    )
    expect(await statuses({ count: 10, headers: { 'x-tester': 'yes' } })).toEqual({ 500: 10 })
    expect(await statuses({ count: 10 })).toEqual({ 200: 10 })
  })

  test('an abort of a gRPC call answers with a gRPC status', async () => {
    await apply({
      fault: { abort: { grpcStatus: 'UNAVAILABLE', percentage: { value: 100 } } },
      route: [to('echo', 'v1')],
    })
    const [answer] = await client().grpc({ url: 'http://echo:50051', message: 'hello' })
    expect(answer?.trailers?.['grpc-status']).toBe('14')
  })

  test('a mirror gets a copy of every request, and the caller notices nothing', async () => {
    await apply({ route: [to('echo', 'v1')], mirror: { host: 'echo', subset: 'v2' } })
    await mesh().pod('echo-v2').misbehave({ status: 500 })
    try {
      const id = freshId()
      const answers = await client().http('http://echo/', {
        count: 30,
        concurrency: 4,
        headers: { [Ask.id]: id },
      })
      expect(countBy(answers, ({ status, echo }) => `${status} ${echo?.version}`)).toEqual({ '200 v1': 30 })
      expect(await mesh().pod('echo-v1').seen(id)).toBe(30)
      await eventually(async () => expect(await mesh().pod('echo-v2').seen(id)).toBe(30))
      expect(await mesh().pod('echo-v3').seen(id)).toBe(0)
    } finally {
      await mesh().pod('echo-v2').misbehave({})
    }
  })

  test('a mirror of a share of the requests', async () => {
    await apply({
      route: [to('echo', 'v1')],
      mirrors: [{ destination: { host: 'echo', subset: 'v3' }, percentage: { value: 40 } }],
    })
    const id = freshId()
    const everything = freshId()
    await client().http('http://echo/', { count: 300, concurrency: 8, headers: { [Ask.id]: id } })
    expect(await mesh().pod('echo-v1').seen(id)).toBe(300)
    // Copies are sent without waiting: those of the requests above have come when a later request's has.
    await eventually(async () => {
      await client().get('http://echo/', { [Ask.id]: everything })
      expect(await mesh().pod('echo-v3').seen(everything)).toBeGreaterThanOrEqual(3)
    })
    expectShare(await mesh().pod('echo-v3').seen(id), 300, 0.4)
  })
})
