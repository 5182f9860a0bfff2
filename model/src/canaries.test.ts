import {
  CANARY_ANNOTATION,
  keyOf,
  type MeshResource,
  parseYaml,
  refOf,
  type VirtualService,
} from '@seine/api'
import { describe, expect, it } from 'vitest'
import { Canaries } from './canaries.ts'
import { MeshModel } from './mesh-model.ts'

const SERVICE = `apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
`
const route = (timeout: string, canary?: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews${canary === undefined ? '' : `\n  annotations: {${CANARY_ANNOTATION}: "${canary}"}`}
spec:
  hosts: [reviews]
  http: [{timeout: ${timeout}, route: [{destination: {host: reviews}}]}]
`

function parsed(...texts: string[]): MeshResource[] {
  const { resources, problems } = parseYaml(texts.join('---\n'), 'a.yaml')
  expect(problems).toEqual([])
  return resources
}

function mesh() {
  const model = new MeshModel()
  const canaries = new Canaries()
  const timeoutIn = (routes: ReadonlyMap<string, VirtualService> | undefined) =>
    routes?.get('default/reviews')?.spec.http?.[0]?.timeout
  return {
    apply: (texts: string[], removed: string[] = []) => {
      const change = { upserts: parsed(...texts), deletes: parsed(...removed).map(refOf) }
      model.apply(change)
      return canaries.apply(change, model)
    },
    timeouts: () => ({
      all: timeoutIn(model.snapshot.virtualServices),
      ...Object.fromEntries(
        canaries.groups.map(({ workloads, snapshot }) => [
          workloads.join(),
          timeoutIn(snapshot.virtualServices),
        ]),
      ),
    }),
  }
}

describe('a version for some proxies', () => {
  it('may be that the object is gone, for its workloads and while it is there', () => {
    const { apply, timeouts } = mesh()
    const removal = route('1s', 'web').replace(
      'seine.dev/canary:',
      'seine.dev/canary-removes: "true", seine.dev/canary:',
    )
    apply([SERVICE, route('1s')])
    apply([removal])
    expect(timeouts()).toEqual({ all: '1s', 'web.default': undefined })
    // What all others get goes on, and changes.
    apply([route('3s')])
    expect(timeouts()).toEqual({ all: '3s', 'web.default': undefined })
    apply([], [removal])
    expect(timeouts()).toEqual({ all: '3s' })
  })

  it('begins with what is in force for all: the last good version of what is wrong now', () => {
    const to = (host: string) => route('1s').replace(/host: \S+?([,}])/, `host: ${host}$1`)
    const { apply, timeouts } = mesh()
    apply([SERVICE, to('reviews')])
    apply([to('nowhere')])
    const other = route('9s', 'web').replace('name: reviews', 'name: other')
    apply([other])
    expect(timeouts()).toEqual({ all: '1s', 'web.default': '1s' })
  })

  it('is another object than the one for all', () => {
    const [all, some] = parsed(route('1s'), route('2s', 'web')).map(one => keyOf(refOf(one)))
    expect([all, some]).toEqual(['VirtualService/default/reviews', 'VirtualService/default/reviews~canary'])
  })

  it('takes the place of the object for its workloads alone, and gives way', () => {
    const { apply, timeouts } = mesh()
    apply([SERVICE, route('1s')])
    expect(apply([route('2s', 'web, api.shop')]).moved).toBe(true)
    expect(timeouts()).toEqual({ all: '1s', 'api.shop,web.default': '2s' })
    apply([route('3s')])
    expect(timeouts()).toEqual({ all: '3s', 'api.shop,web.default': '2s' })
    expect(apply([], [route('2s', 'web')]).moved).toBe(true)
    expect(timeouts()).toEqual({ all: '3s' })
  })

  it('of an object that is new is gone when it is taken back', () => {
    const { apply, timeouts } = mesh()
    apply([SERVICE, route('2s', 'web')])
    expect(timeouts()).toEqual({ all: undefined, 'web.default': '2s' })
    apply([], [route('2s', 'web')])
    expect(timeouts()).toEqual({ all: undefined })
  })

  it('moves to other workloads', () => {
    const { apply, timeouts } = mesh()
    apply([SERVICE, route('1s'), route('2s', 'web')])
    apply([route('2s', 'api')])
    expect(timeouts()).toEqual({ all: '1s', 'api.default': '2s' })
  })

  it('for nobody is in force nowhere', () => {
    const { apply, timeouts } = mesh()
    apply([SERVICE, route('1s'), route('2s', ' ')])
    expect(timeouts()).toEqual({ all: '1s' })
  })
})
