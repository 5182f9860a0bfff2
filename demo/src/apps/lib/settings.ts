/** Who a program is, from its environment: the same variables on Kubernetes and in the local runtime. */
export interface Settings {
  readonly service: string
  readonly version: string
  readonly pod: string
  readonly port: number
}

/** Reads {@link Settings} from `SERVICE`, `VERSION`, `POD_NAME` and `PORT`. */
export function settings(service: string, port: number, env: NodeJS.ProcessEnv = process.env): Settings {
  return {
    service: env['SERVICE'] ?? service,
    version: env['VERSION'] ?? 'v1',
    pod: env['POD_NAME'] ?? 'local',
    port: Number(env['PORT'] ?? port),
  }
}

/** `reviews-v2`: the workload that answered, as the callers' pages show it. */
export function workloadOf(of: Settings): string {
  return `${of.service}-${of.version}`
}

/** Ends the process on SIGTERM and SIGINT after `close`: as a container's first process it has no default action. */
export function endOnSignal(close: () => void): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      close()
      process.exit(0)
    })
  }
}
