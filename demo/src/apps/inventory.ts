import { books } from './books.ts'
import { serveLines } from './lib/line-protocol.ts'
import { settings, workloadOf } from './lib/settings.ts'

const self = settings('inventory', 7000)
const stock = new Map(books.map(book => [book.isbn, (book.pages % 17) + 1]))

serveLines(self, line => {
  const [command, isbn] = line.split(' ')
  if (command !== 'STOCK' || isbn === undefined) return 'ERR expected STOCK <isbn>'
  return `OK ${workloadOf(self)} ${stock.get(isbn) ?? 0}`
})
