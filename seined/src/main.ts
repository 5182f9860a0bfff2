import { setLogger } from '@grpc/grpc-js'
import { createLogger, errorMessage, shutdownSignal, systemClock } from '@seine/kit'
import { commandLine, type LogFormat } from './command-line.ts'
import { Seined } from './seined.ts'
import type { SeinedSettings } from './settings.ts'

await commandLine(run).parseAsync()

async function run(settings: SeinedSettings, format: LogFormat | undefined): Promise<void> {
  const logger = createLogger('seined', format ? { format } : {})
  // What gRPC finds worth saying is told by the one who called it; its own lines are no JSON.
  setLogger({ error: (...words) => logger.debug({ grpc: words.map(String).join(' ') }, 'grpc says') })
  const signal = shutdownSignal()
  const seined = new Seined({ settings, clock: systemClock, logger })
  try {
    const started = await Promise.race([seined.start(), signal])
    if (started === undefined) logger.info({ components: settings.components }, 'ready')
  } catch (failure) {
    logger.fatal({ reason: errorMessage(failure) }, 'the control plane can not start')
    await seined.close().catch(() => {})
    process.exit(1)
  }
  logger.info({ signal: await signal }, 'stopping')
  await seined.close()
  process.exit(0)
}
