import { createLogger, errorMessage, systemClock } from '@seine/kit'
import { Seined } from '@seine/seined'

/** What the bench tells this process when it starts it, as JSON in its last argument. */
export interface ControlPlaneArguments {
  readonly configFolder: string
  readonly stateFolder: string
  readonly ports: { readonly xds: number; readonly tls: number; readonly http: number }
}

/** What this process has used since it started. */
export interface Usage {
  /** Processor time of all its threads, kernel included. */
  readonly cpuMs: number
  readonly peakRssMb: number
}

const { configFolder, stateFolder, ports } = JSON.parse(process.argv.at(-1) ?? '') as ControlPlaneArguments
const seined = new Seined({
  settings: {
    components: ['citadel', 'pilot'],
    configFolders: [configFolder],
    stateFolder,
    bind: '127.0.0.1',
    trustDomain: 'cluster.local',
    workloadTtlMs: 24 * 3_600_000,
    ports: { xdsPlaintext: ports.xds, tls: ports.tls, http: ports.http, otlp: 0, hub: 0 },
    citadel: undefined,
    pilotUrl: undefined,
    hubUrl: undefined,
    dashboardFolder: undefined,
  },
  clock: systemClock,
  logger: createLogger('seined', { level: 'warn', format: 'json' }),
})

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  const usage: Usage = { cpuMs: (user + system) / 1000, peakRssMb: process.resourceUsage().maxRSS / 1024 }
  process.send?.(usage)
})
process.once('disconnect', () => {
  seined.close().then(
    () => process.exit(0),
    failure => {
      console.error(errorMessage(failure))
      process.exit(1)
    },
  )
})
await seined.start()
process.send?.('ready')
