import { request } from 'node:http'
import { err, errorMessage, ok, type Result } from '@seine/kit'
import type { LoadStats } from './apps/lib/load.ts'

const CONTROL_PORT = 8090

/** Asks the traffic generator in a pod for its figures, or (with POST) changes its rate. */
export function askTraffic(
  ip: string,
  path: string,
  method: 'GET' | 'POST' = 'GET',
): Promise<Result<LoadStats, string>> {
  return new Promise(resolve => {
    const fail = (reason: string) => resolve(err(`traffic at ${ip}:${CONTROL_PORT}: ${reason}`))
    const call = request(
      { host: ip, port: CONTROL_PORT, path, method, timeout: 2_000, agent: false },
      response => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          body += chunk
        })
        response.on('end', () => {
          if (response.statusCode !== 200) return fail(`it answered ${response.statusCode}`)
          try {
            resolve(ok(JSON.parse(body) as LoadStats))
          } catch (failure) {
            fail(errorMessage(failure))
          }
        })
      },
    )
    call.on('timeout', () => call.destroy(new Error('no answer in time')))
    call.on('error', failure => fail(failure.message))
    call.end()
  })
}
