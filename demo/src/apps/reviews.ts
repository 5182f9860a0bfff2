import { reviewsOf } from './books.ts'
import { compose, dataOf, type Part } from './lib/answer.ts'
import { ask } from './lib/http-client.ts'
import { sendAnswer, serveHttp } from './lib/http-server.ts'
import { settings, workloadOf } from './lib/settings.ts'
import { forwardedHeaders } from './lib/trace.ts'

const self = settings('reviews', 9080)
const ratingsUrl = process.env['RATINGS_URL'] ?? 'http://ratings:9080'
/** v1 shows no stars and does not call ratings; v2 shows black stars, v3 red ones. */
const color = { v2: 'black', v3: 'red' }[self.version]

serveHttp(self, [
  {
    path: /^\/reviews\/(\d+)$/,
    handle: async (request, match, response) => {
      const id = Number(match[1])
      const parts: Part<Record<string, number>>[] =
        color === undefined
          ? []
          : [await ask(`${ratingsUrl}/ratings/${id}`, forwardedHeaders(request.headers))]
      const ratings = parts[0] && dataOf(parts[0])
      sendAnswer(
        response,
        compose(workloadOf(self), { version: self.version, reviews: reviewsOf(id, ratings, color) }, parts),
      )
    },
  },
])
