import type { IncomingMessage } from 'node:http'
import { type Answer, compose, dataOf } from './lib/answer.ts'
import { ask } from './lib/http-client.ts'
import { sendAnswer, serveHttp } from './lib/http-server.ts'
import { recommendationsClient } from './lib/recommendations-client.ts'
import { settings, workloadOf } from './lib/settings.ts'
import { forwardedHeaders } from './lib/trace.ts'
import { type Product, renderPage } from './page.ts'

const self = settings('productpage', 9080)
const detailsUrl = process.env['DETAILS_URL'] ?? 'http://details:9080'
const reviewsUrl = process.env['REVIEWS_URL'] ?? 'http://reviews:9080'
const quotesUrl = process.env['QUOTES_URL'] ?? 'http://quotes.example.com'
const recommend = recommendationsClient(process.env['RECOMMENDATIONS_TARGET'] ?? 'recommendations:50051')

async function product(id: number, request: IncomingMessage): Promise<Answer<Product>> {
  const headers = forwardedHeaders(request.headers)
  const [details, reviews, recommendations, quote] = await Promise.all([
    ask<NonNullable<Product['details']>>(`${detailsUrl}/details/${id}`, headers),
    ask<NonNullable<Product['reviews']>>(`${reviewsUrl}/reviews/${id}`, headers),
    recommend(id, headers),
    ask<string>(`${quotesUrl}/quote`, headers),
  ])
  const data = {
    details: dataOf(details),
    reviews: dataOf(reviews),
    recommendations: dataOf(recommendations),
    quote: dataOf(quote),
  }
  return compose(workloadOf(self), data, [details, reviews, recommendations, quote])
}

serveHttp(self, [
  {
    path: /^\/(?:productpage)?$/,
    handle: async (request, _match, response) => {
      const answer = await product(0, request)
      response.writeHead(answer.ok ? 200 : 502, { 'content-type': 'text/html; charset=utf-8' })
      response.end(renderPage(answer))
    },
  },
  {
    path: /^\/api\/v1\/products\/(\d+)$/,
    handle: async (request, match, response) =>
      sendAnswer(response, await product(Number(match[1]), request)),
  },
])
