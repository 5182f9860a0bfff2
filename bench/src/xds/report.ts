import type { MeasuredKind } from './changes.ts'
import type { SizeFigures } from './measure.ts'

/** What is aimed at with 1,000 services and 100 sidecars. */
export const TARGETS = {
  changeP99Ms: 50,
  changeCpuMs: 20,
  changeSentKb: 1024,
  firstMs: 5000,
  firstCpuS: 5,
  peakRssMb: 300,
} as const

const TARGET_SIZE = { services: 1000, proxies: 100 }
const NAMES: Readonly<Record<MeasuredKind, string>> = {
  endpoint: 'endpoint change',
  route: 'route change',
  service: 'new service',
  call: 'first call of all',
  removal: 'service removed',
}

/** The figures of one size as a table for people. */
export function table(figures: SizeFigures): string {
  const { first, changes, peakRssMb } = figures
  const rows: string[][] = [['', 'p50', 'p99', 'last', 'CPU', 'sent', 'missed']]
  rows.push([
    'first configuration',
    '',
    '',
    ms(first.lastMs),
    `${first.cpuS} s in all`,
    `${first.sentMb} MB in all`,
    '',
  ])
  for (const [kind, one] of Object.entries(changes)) {
    rows.push([
      NAMES[kind as MeasuredKind],
      ms(one.p50Ms),
      ms(one.p99Ms),
      ms(one.lastMs),
      `${one.cpuMsPerChange} ms`,
      `${one.sentKbPerChange} KB`,
      String(one.missed),
    ])
  }
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const lines = rows.map(row =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  )
  return [
    `${figures.services} services, ${figures.proxies} sidecars; peak memory ${peakRssMb} MB`,
    ...lines,
  ].join('\n')
}

/** What the figures miss of the targets; undefined when they are of another size. */
export function missedTargets({
  services,
  proxies,
  first,
  changes,
  peakRssMb,
}: SizeFigures): string[] | undefined {
  if (services !== TARGET_SIZE.services || proxies !== TARGET_SIZE.proxies) return undefined
  const missed: string[] = []
  const check = (what: string, value: number, target: number, unit: string) => {
    if (value > target) missed.push(`${what}: ${value} ${unit}, aimed at ${target} ${unit}`)
  }
  check('first configuration', first.lastMs, TARGETS.firstMs, 'ms')
  check('first configuration, CPU', first.cpuS, TARGETS.firstCpuS, 's')
  for (const [kind, one] of Object.entries(changes)) {
    const name = NAMES[kind as MeasuredKind]
    check(`${name}, p99`, one.p99Ms, TARGETS.changeP99Ms, 'ms')
    check(`${name}, CPU`, one.cpuMsPerChange, TARGETS.changeCpuMs, 'ms')
    check(`${name}, sent`, one.sentKbPerChange, TARGETS.changeSentKb, 'KB')
  }
  check('peak memory', peakRssMb, TARGETS.peakRssMb, 'MB')
  return missed
}

function ms(value: number): string {
  return `${value} ms`
}
