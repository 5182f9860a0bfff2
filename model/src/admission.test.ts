import { parseYaml, refOf } from '@seine/api'
import { formatProblem } from '@seine/kit'
import { describe, expect, it } from 'vitest'
import { MeshModel } from './mesh-model.ts'

const services = `
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {clusterIP: 10.96.0.1, selector: {app: reviews}, ports: [{name: http, port: 9080}]}
`
const rule = (...subsets: string[]) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  subsets: [${subsets.map(name => `{name: ${name}, labels: {version: ${name}}}`).join(', ')}]
`
const routeTo = (subset: string, name = 'reviews') => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: default}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: ${subset}}}]}]
`

function read(...texts: string[]) {
  const parsed = parseYaml(texts.join('---'), 'mesh.yaml')
  expect(parsed.problems).toEqual([])
  return parsed.resources
}

function mesh(...texts: string[]) {
  const model = new MeshModel()
  model.apply({ upserts: read(services, ...texts), deletes: [] })
  return {
    write: (...more: string[]) => model.apply({ upserts: read(...more), deletes: [] }),
    remove: (...gone: string[]) => model.apply({ upserts: [], deletes: read(...gone).map(refOf) }),
    subsets: () =>
      model.snapshot.destinationRules.get('default/reviews')?.spec.subsets?.map(({ name }) => name) ?? [],
    route: (name = 'reviews') =>
      model.snapshot.virtualServices.get(`default/${name}`)?.spec.http?.[0]?.route?.[0]?.destination.subset,
    problems: () => model.snapshot.problems.map(formatProblem),
  }
}

describe('a virtual service', () => {
  it('waits for the subset it routes to, with its last good version in force', () => {
    const { write, route, problems } = mesh(rule('v1'), routeTo('v1'))
    write(routeTo('v2'))
    expect(route()).toBe('v1')
    expect(problems()).toEqual([
      expect.stringMatching(/VirtualService default\/reviews: .+defines the subset v2.+\[IST0101\]$/),
    ])
    write(rule('v1', 'v2'))
    expect([route(), problems()]).toEqual(['v2', []])
  })

  it('that mirrors to names which are looked up by what requests ask for stays as it was', () => {
    const entry = (resolution: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: copies, namespace: default}
spec: {hosts: ['*.copies.example'], resolution: ${resolution}, ports: [{number: 80, name: http, protocol: HTTP}]}
`
    const mirrored = routeTo('v1').replace(
      'http: [{',
      "http: [{mirrors: [{destination: {host: '*.copies.example'}}], ",
    )
    const { write, problems } = mesh(rule('v1'), routeTo('v1'), entry('DYNAMIC_DNS'))
    write(mirrored)
    expect(problems()).toEqual([
      expect.stringMatching(/spec\.http\[0\]\.mirrors\[0\]\.destination\.host: .+\[mirror-to-dynamic-dns\]$/),
    ])
    write(entry('NONE'))
    expect(problems()).toEqual([])
  })

  it('for a host that another decides for is reported', () => {
    const { write, remove, problems } = mesh(rule('v1', 'v2'), routeTo('v1'))
    write(routeTo('v2', 'second'))
    expect(problems()).toEqual([
      'mesh.yaml:6:11: error: VirtualService default/second: spec.hosts[0]: VirtualService default/reviews decides for reviews.default.svc.cluster.local already; write both as one [IST0109]',
    ])
    remove(routeTo('v1'))
    expect(problems()).toEqual([])
  })
})

describe('a destination rule', () => {
  it('keeps a subset that is routed to, until it is not', () => {
    const { write, subsets, route, problems } = mesh(rule('v1', 'v2'), routeTo('v2'))
    write(rule('v1', 'v3'))
    expect(subsets()).toEqual(['v1', 'v2'])
    expect(problems()[0]).toContain('VirtualService default/reviews still routes to the subset v2')
    write(routeTo('v3'))
    expect([route(), subsets(), problems()]).toEqual(['v3', ['v1', 'v3'], []])
  })

  it('stays although its file is gone, until nothing needs it', () => {
    const { remove, subsets, problems } = mesh(rule('v1'), routeTo('v1'))
    remove(rule('v1'))
    expect(subsets()).toEqual(['v1'])
    expect(problems().join()).toContain('subset-in-use')
    remove(routeTo('v1'))
    expect([subsets(), problems()]).toEqual([[], []])
  })

  it('goes with the virtual service in one change', () => {
    const { remove, subsets, problems } = mesh(rule('v1'), routeTo('v1'))
    remove(rule('v1'), routeTo('v1'))
    expect([subsets(), problems()]).toEqual([[], []])
  })

  it('for the same host as another waits until that one is gone', () => {
    const second = rule('v2').replace('name: reviews,', 'name: more,')
    const { write, remove, subsets, problems } = mesh(rule('v1'))
    write(second)
    expect(subsets()).toEqual(['v1'])
    expect(problems()).toEqual([
      'mesh.yaml:6:3: error: DestinationRule default/more: spec.host: reviews.default.svc.cluster.local has DestinationRule default/reviews already, which is used; write both as one [host-collision]',
    ])
    remove(rule('v1'))
    expect(problems()).toEqual([])
  })
})

const root = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http: [{match: [{uri: {prefix: /a}}], delegate: {name: part}}]
`
const part = (prefix: string, subset: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: part, namespace: default}
spec:
  http: [{match: [{uri: {prefix: ${prefix}}}], route: [{destination: {host: reviews, subset: ${subset}}}]}]
`

describe('a delegate', () => {
  it('may come after what delegates to it, and its routes follow it', () => {
    const { write, remove, route, problems } = mesh(rule('v1', 'v2'), root)
    expect(route()).toBeUndefined()
    expect(problems()).toEqual([
      expect.stringMatching(
        /spec.http\[0\].delegate: there is no VirtualService default\/part .+\[IST0101\]$/,
      ),
    ])
    write(part('/a/b', 'v1'))
    expect([route(), problems()]).toEqual(['v1', []])
    write(part('/a/b', 'v2'))
    expect(route()).toBe('v2')
    remove(part('/a/b', 'v2'))
    expect(route()).toBeUndefined()
  })

  it('keeps its last good version in force by itself', () => {
    const { write, route, problems } = mesh(rule('v1'), root, part('/a', 'v1'))
    write(part('/a', 'v2'))
    expect(route()).toBe('v1')
    expect(problems()).toEqual([expect.stringMatching(/VirtualService default\/part: .+\[IST0101\]$/)])
    write(rule('v1', 'v2'))
    expect([route(), problems()]).toEqual(['v2', []])
  })

  it('whose match is outside of the one that delegates is told of', () => {
    const { write, route, problems } = mesh(rule('v1'), root, part('/b', 'v1'))
    expect(route()).toBeUndefined()
    expect(problems()).toEqual([expect.stringMatching(/\[delegate-conflict\]$/)])
    write(part('/a', 'v1'))
    expect([route(), problems()]).toEqual(['v1', []])
  })

  it('is none any more once it has hosts', () => {
    const { write, route } = mesh(rule('v1'), root, part('/a', 'v1'))
    write(part('/a', 'v1').replace('http:', 'hosts: [other.example]\n  http:'))
    expect(route()).toBeUndefined()
  })
})
