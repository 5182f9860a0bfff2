import { expect, it } from 'vitest'
import { lastReason } from './control-plane.ts'
import { controlPlanePrograms } from './control-plane-programs.ts'

it('finds what a program said last before it gave up', () => {
  const log = [
    '{"level":60,"name":"seined","reason":"an old one","msg":"the control plane can not start"}',
    'a line that is no JSON',
    '{"level":60,"name":"seined","reason":"port 15010 is in use","msg":"the control plane can not start"}',
    '{"level":30,"name":"seined","msg":"stopping"}',
  ].join('\n')
  expect(lastReason(log)).toBe('port 15010 is in use')
  expect(lastReason('{"level":30,"msg":"ready"}')).toBeUndefined()
})

it('gives each process of a control plane that runs apart ports of its own', () => {
  const choice = { stateFolder: '/s', app: '/a', config: '/c', apart: true, certTtl: undefined }
  const programs = controlPlanePrograms(choice)
  expect(programs.map(({ name }) => name)).toEqual(['citadel', 'pilot', 'hub', 'mixer'])
  const ports = programs.flatMap(({ command }) =>
    command.flatMap((word, index) => (word.endsWith('-port') ? [command[index + 1]] : [])),
  )
  expect(new Set(ports).size).toBe(ports.length)
  expect(controlPlanePrograms({ ...choice, apart: false })).toHaveLength(1)
})
