import { serveLines } from './lib/line-protocol.ts'
import { settings, workloadOf } from './lib/settings.ts'

const self = settings('ledger', 7001)
const views = new Map<string, number>()

serveLines(self, line => {
  const [command, isbn] = line.split(' ')
  if (command !== 'VIEW' || isbn === undefined) return 'ERR expected VIEW <isbn>'
  const count = (views.get(isbn) ?? 0) + 1
  views.set(isbn, count)
  return `OK ${workloadOf(self)} ${count}`
})
