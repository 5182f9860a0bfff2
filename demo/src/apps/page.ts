import type { Book, Review } from './books.ts'
import type { Answer } from './lib/answer.ts'

/** What productpage gathers for one book. */
export interface Product {
  readonly details?: (Book & { readonly stock: number | null; readonly views: number | null }) | undefined
  readonly reviews?: { readonly version: string; readonly reviews: readonly Review[] } | undefined
  readonly recommendations?: readonly string[] | undefined
  readonly quote?: string | undefined
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Makes text safe inside HTML. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, char => ENTITIES[char] ?? char)
}

function review(of: Review): string {
  const stars =
    of.stars === undefined
      ? ''
      : ` <span style="color:${escapeHtml(of.color ?? 'black')}">${'★'.repeat(of.stars)}</span>`
  return `<blockquote>${escapeHtml(of.text)}<footer>${escapeHtml(of.reviewer)}${stars}</footer></blockquote>`
}

/** The page a person sees: each part, or that it is not available. */
export function renderPage(answer: Answer<Product>): string {
  const { details, reviews, recommendations, quote } = answer.data
  const missing = '<p class="missing">not available right now</p>'
  const facts = details
    ? `<p>${escapeHtml(details.author)}, ${details.year}. ${details.pages} pages, ISBN ${details.isbn}. In stock: ${details.stock ?? '?'}. Looked at ${details.views ?? '?'} times.</p>`
    : missing
  const failures = answer.failures.map(failure => `<li>${escapeHtml(failure)}</li>`).join('')
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(details?.title ?? 'Books')}</title>
<style>body{font:16px/1.5 system-ui;max-width:44rem;margin:2rem auto;padding:0 1rem}.missing,.failures{color:#a00}footer{color:#555}</style></head><body>
<h1>${escapeHtml(details?.title ?? 'Books')}</h1>${quote === undefined ? '' : `<p><em>${escapeHtml(quote)}</em></p>`}
<h2>Details</h2>${facts}
<h2>Reviews${reviews ? ` (${escapeHtml(reviews.version)})` : ''}</h2>${reviews ? reviews.reviews.map(review).join('') : missing}
<h2>You may also like</h2>${recommendations ? `<ul>${recommendations.map(title => `<li>${escapeHtml(title)}</li>`).join('')}</ul>` : missing}
${failures === '' ? '' : `<h2>What failed</h2><ul class="failures">${failures}</ul>`}
<p><small>Served by ${escapeHtml(answer.servedBy.join(', '))}</small></p></body></html>
`
}
