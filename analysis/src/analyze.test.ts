import { readdirSync, readFileSync } from 'node:fs'
import { type CheckedObject, type Kind, type MeshResource, parseYaml } from '@seine/api'
import { describe, expect, it } from 'vitest'
import { analyzeObjects, ContinuousAnalysis } from './analyze.ts'
import { analyzers } from './analyzers.ts'
import { codes } from './codes.ts'
import { AnalysisContext, type AnalysisOptions } from './context.ts'
import type { Finding } from './finding.ts'

/** A file of `testdata/<code>/`: objects, and in comments before them what is to be found, line by line. */
interface Case {
  readonly name: string
  /** The code that the case is about, which is found there or is not. */
  readonly code: string
  readonly objects: readonly CheckedObject[]
  readonly expected: readonly string[]
}

const ROOT = new URL('../testdata/', import.meta.url)
const FINDING = /^# ((?:IST\d{4}|gateway-[a-z-]+) .+)$/gm

/** Every case, by name. */
function readCases(): Case[] {
  return readdirSync(ROOT).flatMap(code =>
    readdirSync(new URL(`${code}/`, ROOT)).map(file => {
      const name = `${code}/${file}`
      const text = readFileSync(new URL(name, ROOT), 'utf8')
      const expected = [...text.matchAll(FINDING)].map(([, line = '']) => line)
      return { name, code, objects: parseYaml(text, name).objects, expected }
    }),
  )
}

/** A finding as a line: `IST0101 Error VirtualService default/reviews spec.gateways[0]: there is no …`. */
function lineOf({ code, level, resource, path, message }: Finding): string {
  const name = resource.namespace ? `${resource.namespace}/${resource.name}` : resource.name
  return `${code} ${level} ${resource.kind} ${name} ${path || '-'}: ${message}`
}

const cases = readCases()

const objectsOf = (yaml: string): readonly CheckedObject[] => parseYaml(yaml, 'test.yaml').objects
const linesOf = (yaml: string, options?: AnalysisOptions) =>
  analyzeObjects(objectsOf(yaml), options).map(lineOf)

describe('the cases in testdata', () => {
  it.each(cases.map(one => [one.name, one] as const))('%s', (_name, { objects, expected }) => {
    expect(analyzeObjects(objects).map(lineOf)).toEqual(expected)
  })

  // It takes proxies to find what a patch matches: seinectl's tests do.
  const ofAnalysis = Object.keys(codes).filter(code => !code.startsWith('patch-'))
  it.each(ofAnalysis)('have one with %s, and one without', code => {
    const about = cases.filter(one => one.code === code)
    const isFound = ({ expected }: (typeof about)[number]) =>
      expected.some(line => line.startsWith(`${code} `))
    expect({ with: about.some(isFound), without: about.some(one => !isFound(one)) }).toEqual({
      with: true,
      without: true,
    })
  })

  it('are about nothing but codes that there are', () => {
    expect(cases.map(({ code }) => code).filter(code => !(code in codes))).toEqual([])
  })
})

const VIRTUAL_SERVICE = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
  annotations: {}
spec:
  hosts: [reviews]
  http:
    - route:
        - destination:
            host: nowhere
    - route:
        - destination:
            host: nowhere
`

describe('a finding', () => {
  it('knows its place in the file', () => {
    const places = analyzeObjects(objectsOf(VIRTUAL_SERVICE)).map(({ code, position }) => [code, position])
    expect(places).toEqual([
      ['IST0101', { file: 'test.yaml', line: 11, column: 13 }],
      ['IST0101', { file: 'test.yaml', line: 14, column: 13 }],
      ['IST0130', { file: 'test.yaml', line: 12, column: 7 }],
    ])
  })

  it('is left out where an annotation of its object names its code', () => {
    const lines = (codesToSuppress: string) =>
      analyzeObjects(
        objectsOf(
          VIRTUAL_SERVICE.replace('{}', `{ galley.istio.io/analyze-suppress: "${codesToSuppress}" }`),
        ),
      ).map(({ code }) => code)
    expect(lines('IST0101')).toEqual(['IST0130'])
    expect(lines('IST0130, IST0101')).toEqual([])
    expect(lines('*')).toEqual([])
    expect(lines('IST0102')).toEqual(['IST0101', 'IST0101', 'IST0130'])
  })
})

const POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: reviews }
spec: { selector: { matchLabels: { app: reviews } } }
`
const GATEWAY = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: public, namespace: istio-system }
spec:
  selector: { istio: ingressgateway }
  servers:
    - port: { number: 443, name: https, protocol: HTTPS }
      hosts: [a.example.com]
      tls: { mode: SIMPLE, credentialName: there }
`

describe('a mesh that is known in full', () => {
  it('lacks what is not there: workloads, and gateways of Istio', () => {
    expect(linesOf(`${POLICY}---\n${GATEWAY}`, { complete: true })).toEqual([
      'IST0101 Error Gateway istio-system/public spec.selector: there is no workload with the labels istio=ingressgateway',
      'IST0127 Warning AuthorizationPolicy default/reviews spec.selector: no workload of the mesh has the labels app=reviews: the policy applies to nothing',
    ])
  })
})

describe('a certificate', () => {
  it('is looked at by whoever can', () => {
    const secret = `---
apiVersion: v1
kind: Secret
metadata: { name: there, namespace: istio-system }
stringData:
  tls.crt: "-----BEGIN CERTIFICATE----- A"
  tls.key: "-----BEGIN PRIVATE KEY----- B"
`
    const seen: string[][] = []
    const lines = linesOf(GATEWAY + secret, {
      certificateProblem: (certificate, key) => {
        seen.push([certificate, key])
        return 'it has expired'
      },
    })
    expect(lines).toEqual([
      'IST0161 Error Gateway istio-system/public spec.servers[0].tls.credentialName: the secret istio-system/there holds no certificate that can be used: it has expired',
    ])
    expect(seen).toEqual([['-----BEGIN CERTIFICATE----- A', '-----BEGIN PRIVATE KEY----- B']])
  })
})

describe('continuous analysis', () => {
  it('asks all analyzers at first, then those that read what changed', () => {
    const analysis = new ContinuousAnalysis()
    expect(analysis.update({ resources: [] })).toEqual(analyzers.map(({ name }) => name))
    expect(analysis.update({ resources: [], changedKinds: new Set(['Telemetry']) })).toEqual([
      'kubernetes-gateway-selectors',
      'telemetry-selectors',
      'telemetry-providers',
    ])
    expect(analysis.update({ resources: [], changedKinds: new Set(['EndpointSlice']) })).toEqual([])
  })

  it('does not miss a webhook where something else injects', () => {
    const gateway = `apiVersion: apps/v1
kind: Deployment
metadata: {name: edge}
spec: {template: {metadata: {labels: {app: edge}}, spec: {containers: [{name: istio-proxy, image: auto}]}}}
`
    const analysis = new ContinuousAnalysis()
    analysis.update({ resources: objectsOf(gateway).flatMap(({ resource }) => resource ?? []) })
    expect(analysis.findings.map(({ code }) => code)).toEqual([])
  })

  it('does not miss objects that are there and broken', () => {
    const analysis = new ContinuousAnalysis()
    const found = objectsOf(VIRTUAL_SERVICE).flatMap(({ resource }) => resource ?? [])
    analysis.update({
      resources: found,
      broken: [{ kind: 'Service', namespace: 'default', name: 'nowhere' }],
    })
    expect(analysis.findings.map(({ code }) => code)).toEqual(['IST0130'])
  })

  // An analyzer that reads a kind which it does not name as an input keeps findings that are no longer true.
  it.each(cases.map(one => [one.name, one] as const))('of %s finds what it would from the start', (_name, {
    objects,
  }) => {
    const resources = objects.flatMap(({ resource }) => resource ?? [])
    const fromStart = (some: readonly MeshResource[]) => {
      const analysis = new ContinuousAnalysis()
      analysis.update({ resources: some })
      return analysis.findings.map(lineOf)
    }
    const analysis = new ContinuousAnalysis()
    analysis.update({ resources })
    for (const kind of new Set(resources.map(resource => resource.kind))) {
      const others = resources.filter(resource => resource.kind !== kind)
      analysis.update({ resources: others, changedKinds: new Set([kind]) })
      expect(analysis.findings.map(lineOf)).toEqual(fromStart(others))
      analysis.update({ resources, changedKinds: new Set([kind]) })
      expect(analysis.findings.map(lineOf)).toEqual(fromStart(resources))
    }
  })

  it.each(
    analyzers.map(one => [one.name, one] as const),
  )('%s reads no kinds but its inputs', (_name, analyzer) => {
    const read = new Set<string>()
    class Watched extends AnalysisContext {
      override all<K extends Kind>(kind: K) {
        read.add(kind)
        return super.all(kind)
      }

      override find<K extends Kind>(kind: K, namespace: string, name: string) {
        read.add(kind)
        return super.find(kind, namespace, name)
      }

      override exists(kind: Kind, namespace: string, name: string) {
        read.add(kind)
        return super.exists(kind, namespace, name)
      }
    }
    for (const { objects } of cases) {
      const resources = objects.flatMap(({ resource }) => resource ?? [])
      analyzer.analyze(new Watched(resources, [], { complete: true }), () => {})
    }
    expect([...read].filter(kind => !analyzer.inputs.some(input => input === kind))).toEqual([])
  })
})
