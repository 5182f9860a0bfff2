import { createLogger, errorMessage, shutdownSignal, systemClock } from '@seine/kit'
import { Command } from 'commander'
import { Agent } from './agent.ts'
import { ProxylessAgent } from './proxyless-agent.ts'
import { readSettings } from './settings.ts'
import { waitUntilReady } from './wait.ts'

const program = new Command('seine-agent').description(
  "Runs beside a workload's Envoy: certificates, configuration, DNS, health",
)

program
  .command('proxy')
  .description('start the agent and its Envoy; settings come from the environment that the injector writes')
  .action(async () => {
    // What the agent writes is its user's alone: the socket hands out the workload's key.
    process.umask(0o077)
    const logger = createLogger('seine-agent')
    const settings = readSettings(process.env)
    if (!settings.ok) {
      logger.fatal(settings.error)
      process.exitCode = 2
      return
    }
    const options = { settings: settings.value, clock: systemClock, logger, random: Math.random }
    const agent = settings.value.proxyless ? new ProxylessAgent(options) : new Agent(options)
    const signal = shutdownSignal()
    try {
      await agent.start()
    } catch (failure) {
      logger.fatal({ reason: errorMessage(failure) }, 'the agent can not start')
      process.exit(1)
    }
    logger.info({ signal: await signal }, 'stopping: requests are let to end')
    await agent.stop()
    process.exit(0)
  })

program
  .command('wait')
  .description('wait until the agent is ready, so that an application does not start before it')
  .option('--port <number>', 'where it tells', process.env['HEALTH_PORT'] ?? '15021')
  .option('--timeout <seconds>', 'how long to wait', '60')
  .action(async ({ port, timeout }: { port: string; timeout: string }) => {
    const reason = await waitUntilReady(Number(port), Number(timeout) * 1000)
    if (reason === undefined) return
    createLogger('seine-agent').fatal({ reason }, 'the agent is not ready')
    process.exitCode = 1
  })

await program.parseAsync()
