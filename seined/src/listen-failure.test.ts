import { expect, it } from 'vitest'
import { listenFailure } from './listen-failure.ts'

const wanted = { host: '10.0.0.1', port: 15012, purpose: 'certificates', option: '--tls-port' }

it.each([
  [
    'listen EADDRINUSE: address already in use',
    /10\.0\.0\.1:15012 \(certificates\): another program uses .+--tls-port$/,
  ],
  ['listen EADDRNOTAVAIL: address not available', /does not have that address; give one it has with --bind$/],
  ['listen EACCES: permission denied', /only root may use that port; give one above 1023 with --tls-port$/],
  ['something else', /: something else$/],
])('says what to do about "%s"', (message, expected) => {
  expect(listenFailure(wanted, new Error(message)).message).toMatch(expected)
})
