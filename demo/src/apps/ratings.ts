import { ratingsOf } from './books.ts'
import { compose } from './lib/answer.ts'
import { sendAnswer, sendJson, serveHttp } from './lib/http-server.ts'
import { settings, workloadOf } from './lib/settings.ts'

const self = settings('ratings', 9080)

serveHttp(self, [
  {
    path: /^\/ratings\/(\d+)$/,
    handle: (_request, match, response) => {
      const ratings = ratingsOf(Number(match[1]))
      if (ratings === undefined) return sendJson(response, 404, { error: `no product ${match[1]}` })
      sendAnswer(response, compose(workloadOf(self), ratings, []))
    },
  },
])
