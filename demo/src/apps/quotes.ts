import { compose } from './lib/answer.ts'
import { sendAnswer, serveHttp } from './lib/http-server.ts'
import { settings, workloadOf } from './lib/settings.ts'

const self = settings('quotes', 8080)
const quotes = [
  'A room without books is like a body without a soul.',
  'There is no friend as loyal as a book.',
  'So many books, so little time.',
]
let served = 0

serveHttp(self, [
  {
    path: /^\/quote$/,
    handle: (_request, _match, response) => {
      served += 1
      sendAnswer(response, compose(workloadOf(self), quotes[served % quotes.length], []))
    },
  },
])
