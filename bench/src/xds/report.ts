import type { MeasuredKind } from './changes.ts'
import type { SizeFigures } from './measure.ts'

interface Targets {
  readonly changeP99Ms: number
  readonly changeCpuMs?: number
  readonly changeSentKb?: number
  readonly firstMs?: number
  readonly firstCpuS?: number
  readonly peakRssMb?: number
}

/** What is aimed at, by services × sidecars. */
const TARGETS: Readonly<Record<string, Targets>> = {
  '1000×100': {
    changeP99Ms: 50,
    changeCpuMs: 20,
    changeSentKb: 1024,
    firstMs: 5000,
    firstCpuS: 5,
    peakRssMb: 300,
  },
  '5000×500': { changeP99Ms: 200 },
}
/** Whatever the size. */
const STORM_TARGETS = { p99Ms: 1000, coreShare: 1 } as const

const NAMES: Readonly<Record<MeasuredKind, string>> = {
  endpoint: 'endpoint change',
  route: 'route change',
  service: 'new service',
  call: 'first call of all',
  removal: 'service removed',
}

/** The figures of one size as a table for people. */
export function table(figures: SizeFigures): string {
  const { first, changes, storm, peakRssMb } = figures
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
  if (storm) {
    const { p50Ms, p99Ms, lastMs, coreShare, sentMb, missed } = storm
    rows.push([
      `storm, ${storm.perSecond} changes/s`,
      ms(p50Ms),
      ms(p99Ms),
      ms(lastMs),
      `${Math.round(coreShare * 100)} % of a core`,
      `${sentMb} MB in all`,
      String(missed),
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
    `${figures.services} services, ${figures.proxies} sidecars, ${figures.sidecars}; peak memory ${peakRssMb} MB${storm ? `, ${storm.peakRssMb} MB with the storm` : ''}`,
    ...lines,
  ].join('\n')
}

/** What the figures miss of the targets; undefined where nothing is aimed at. */
export function missedTargets({
  services,
  proxies,
  first,
  changes,
  storm,
  peakRssMb,
}: SizeFigures): string[] | undefined {
  const targets = TARGETS[`${services}×${proxies}`]
  if (!targets) return undefined
  const missed: string[] = []
  const check = (what: string, value: number, target: number | undefined, unit: string) => {
    if (target !== undefined && value > target)
      missed.push(`${what}: ${value} ${unit}, aimed at ${target} ${unit}`)
  }
  check('first configuration', first.lastMs, targets.firstMs, 'ms')
  check('first configuration, CPU', first.cpuS, targets.firstCpuS, 's')
  for (const [kind, one] of Object.entries(changes)) {
    const name = NAMES[kind as MeasuredKind]
    check(`${name}, p99`, one.p99Ms, targets.changeP99Ms, 'ms')
    check(`${name}, CPU`, one.cpuMsPerChange, targets.changeCpuMs, 'ms')
    check(`${name}, sent`, one.sentKbPerChange, targets.changeSentKb, 'KB')
  }
  if (storm) {
    check('storm, p99', storm.p99Ms, STORM_TARGETS.p99Ms, 'ms')
    check('storm', storm.coreShare, STORM_TARGETS.coreShare, 'cores')
  }
  check('peak memory', peakRssMb, targets.peakRssMb, 'MB')
  return missed
}

function ms(value: number): string {
  return `${value} ms`
}
