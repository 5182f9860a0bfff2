import { connect, createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { endOnSignal, type Settings } from './settings.ts'

/**
 * A line protocol over plain TCP, the client speaks first: one line asked, one line answered
 * (`OK <rest>` or `ERR <reason>`), any number of times on a connection.
 */
export function serveLines(of: Settings, answer: (line: string) => string): Server {
  const server = createServer(socket => {
    socket.on('error', failure =>
      console.error(JSON.stringify({ message: 'connection failed', error: failure.message })),
    )
    createInterface({ input: socket }).on('line', line => socket.write(`${answer(line.trim())}\n`))
  })
  server.listen(of.port, '0.0.0.0', () => console.log(JSON.stringify({ message: 'listening', ...of })))
  endOnSignal(() => server.close())
  return server
}

/** Opens a connection, asks one line, closes. A connection a call shows up in the mesh's TCP telemetry at once. */
export function askLine(host: string, port: number, line: string, timeoutMs = 5_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host, port })
    const settle = (act: () => void) => {
      act()
      socket.destroy()
    }
    socket.setTimeout(timeoutMs, () => settle(() => reject(new Error(`no answer within ${timeoutMs} ms`))))
    socket.on('error', failure => settle(() => reject(failure)))
    socket.on('close', () => reject(new Error('closed before an answer')))
    createInterface({ input: socket })
      .on('line', reply => settle(() => resolve(reply)))
      .on('error', failure => reject(failure))
    socket.write(`${line}\n`)
  })
}
