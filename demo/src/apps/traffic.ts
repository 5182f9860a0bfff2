import { systemClock } from '@seine/kit'
import { books } from './books.ts'
import { ask } from './lib/http-client.ts'
import { sendJson, serveHttp } from './lib/http-server.ts'
import { Load } from './lib/load.ts'
import { settings } from './lib/settings.ts'

const self = settings('traffic', 8090)
const target = process.env['TARGET_URL'] ?? 'http://productpage:9080'
let next = 0

async function send() {
  next += 1
  return ask(`${target}/api/v1/products/${next % books.length}`, { 'user-agent': 'seine-traffic' })
}

const load = new Load(Number(process.env['RATE'] ?? 10), send, systemClock)
const faster = () => load.setRate(Math.max(1, Math.round(load.stats().rate * 1.5)))
const slower = () => load.setRate(Math.floor(load.stats().rate / 1.5))
process.on('SIGUSR1', faster)
process.on('SIGUSR2', slower)

serveHttp(self, [
  { path: /^\/stats$/, handle: (_request, _match, response) => sendJson(response, 200, load.stats()) },
  {
    method: 'POST',
    path: /^\/rate\/(\d+(?:\.\d+)?|up|down)$/,
    handle: (_request, match, response) => {
      const wish = match[1]
      if (wish === 'up') faster()
      else if (wish === 'down') slower()
      else load.setRate(Number(wish))
      sendJson(response, 200, load.stats())
    },
  },
])
