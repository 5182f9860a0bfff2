import { bookOf } from './books.ts'
import { compose, type Part } from './lib/answer.ts'
import { failed } from './lib/http-client.ts'
import { sendAnswer, sendJson, serveHttp } from './lib/http-server.ts'
import { askLine } from './lib/line-protocol.ts'
import { settings, workloadOf } from './lib/settings.ts'

const self = settings('details', 9080)
const inventory = { host: process.env['INVENTORY_HOST'] ?? 'inventory', port: 7000 }
const ledger = { host: process.env['LEDGER_HOST'] ?? 'ledger', port: 7001 }

/** Asks a line service; its answer names the workload that gave it: `OK inventory-v1 12`. */
async function askPart(of: { host: string; port: number }, line: string): Promise<Part<string>> {
  try {
    const [status, workload, ...rest] = (await askLine(of.host, of.port, line)).split(' ')
    if (status !== 'OK' || workload === undefined)
      return failed(`${of.host}:${of.port} answered ${status} ${workload ?? ''}`)
    return { ok: true, data: rest.join(' '), servedBy: [workload], failures: [] }
  } catch (failure) {
    return failed(`${of.host}:${of.port}: ${failure instanceof Error ? failure.message : String(failure)}`)
  }
}

serveHttp(self, [
  {
    path: /^\/details\/(\d+)$/,
    handle: async (_request, match, response) => {
      const book = bookOf(Number(match[1]))
      if (book === undefined) return sendJson(response, 404, { error: `no product ${match[1]}` })
      const [stock, views] = await Promise.all([
        askPart(inventory, `STOCK ${book.isbn}`),
        askPart(ledger, `VIEW ${book.isbn}`),
      ])
      const data = {
        ...book,
        stock: 'data' in stock ? Number(stock.data) : null,
        views: 'data' in views ? Number(views.data) : null,
      }
      sendAnswer(response, compose(workloadOf(self), data, [stock, views]))
    },
  },
])
