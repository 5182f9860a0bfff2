import { createLogger, errorMessage, shutdownSignal, systemClock } from '@seine/kit'
import { Command } from 'commander'
import { Agent } from './agent.ts'
import { readSettings } from './settings.ts'

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
    const agent = new Agent({ settings: settings.value, clock: systemClock, logger, random: Math.random })
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

await program.parseAsync()
