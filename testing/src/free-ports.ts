import { createServer } from 'node:net'
import { threadId } from 'node:worker_threads'

/** Where ports are looked for: below those that Linux gives to clients and to servers that ask for any. */
const FIRST = 16_000
const SHARES = 160
const SHARE = 100

const own = FIRST + ((process.pid * 4 + threadId) % SHARES) * SHARE
let next = 0

/**
 * Ports of this machine that nobody listens on. Threads that test at the same time look in shares of their own, and
 * one thread is not given a port twice before it has been through its share: so that a port is still free when
 * whoever asked for it listens there.
 */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = []
  for (let tries = 0; found.length < count; tries++) {
    if (tries >= SHARE) throw new Error(`there are no ${count} free ports among ${SHARE}`)
    const port = own + (next++ % SHARE)
    if (await isFree(port)) found.push(port)
  }
  return found
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, () => server.close(() => resolve(true)))
  })
}
