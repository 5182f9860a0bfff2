import { errorMessage } from '@seine/kit'

/** A port that could not be opened. */
export interface WantedPort {
  readonly host: string
  readonly port: number
  /** What it serves, for people. */
  readonly purpose: string
  /** The option that gives it another number. */
  readonly option: string
}

/** Says why a port can't be opened and what to do about it. */
export function listenFailure({ host, port, purpose, option }: WantedPort, failure: unknown): Error {
  const reason = errorMessage(failure)
  const wanted = `can't listen on ${host}:${port} (${purpose})`
  if (reason.includes('EADDRINUSE')) {
    return new Error(
      `${wanted}: another program uses that port; stop it (\`ss -ltnp 'sport = :${port}'\` names it), or give another with ${option}`,
    )
  }
  if (reason.includes('EADDRNOTAVAIL'))
    return new Error(`${wanted}: this machine does not have that address; give one it has with --bind`)
  if (reason.includes('EACCES'))
    return new Error(`${wanted}: only root may use that port; give one above 1023 with ${option}`)
  return new Error(`${wanted}: ${reason}`)
}
