import { type Kind, parseYaml } from '@seine/api'
import { FakeClock, silentLogger } from '@seine/kit'
import { expect, it } from 'vitest'
import { BackgroundAnalysis } from './background-analysis.ts'

const ROUTE = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: nowhere}}]}]
`
const SERVICE = `apiVersion: v1
kind: Service
metadata: {name: nowhere}
spec: {ports: [{name: http, port: 80}]}
`

function analysisOf(initial: string) {
  const clock = new FakeClock()
  let text = initial
  let looks = 0
  const analysis = new BackgroundAnalysis({
    clock,
    logger: silentLogger,
    read: () => {
      looks += 1
      return { resources: parseYaml(text, 'a.yaml').resources, broken: [] }
    },
    onEnd: () => {},
  })
  return {
    clock,
    analysis,
    looks: () => looks,
    change: (next: string, ...kinds: Kind[]) => {
      text = next
      analysis.changed(kinds)
    },
  }
}

it('finds what is wrong a moment after a change, and that it is right again', () => {
  const { analysis, clock, change } = analysisOf('')
  change(ROUTE, 'VirtualService')
  expect(analysis.problems).toEqual([])
  clock.advance(1000)
  expect(analysis.problems).toMatchObject([
    {
      severity: 'error',
      code: 'IST0101',
      resource: { kind: 'VirtualService', namespace: 'default', name: 'reviews' },
      path: 'spec.http[0].route[0].destination.host',
      position: { file: 'a.yaml', line: 6 },
    },
  ])
  change(`${ROUTE}---\n${SERVICE}`, 'Service')
  clock.advance(1000)
  expect(analysis.problems).toEqual([])
})

it('looks once at many changes', () => {
  const { clock, change, looks } = analysisOf(ROUTE)
  for (let i = 0; i < 50; i++) change(ROUTE, 'VirtualService')
  clock.advance(1000)
  expect(looks()).toBe(1)
})

it('sees what changes while it looks', () => {
  const { analysis, clock, change } = analysisOf(ROUTE)
  change(ROUTE, 'VirtualService')
  clock.advance(100)
  change(`${ROUTE}---\n${SERVICE}`, 'Service')
  clock.advance(1000)
  expect(analysis.problems).toEqual([])
})

it('is quiet once it is closed', async () => {
  const { analysis, clock, change, looks } = analysisOf(ROUTE)
  change(ROUTE, 'VirtualService')
  await analysis.close()
  clock.advance(1000)
  expect(looks()).toBe(0)
})
