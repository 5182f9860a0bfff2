/** The application's stock of books: small, fixed, the same in each service. */
export interface Book {
  readonly id: number
  readonly title: string
  readonly author: string
  readonly year: number
  readonly isbn: string
  readonly pages: number
}

export const books: readonly Book[] = [
  {
    id: 0,
    title: 'The Comedy of Errors',
    author: 'William Shakespeare',
    year: 1595,
    isbn: '1234567890',
    pages: 200,
  },
  { id: 1, title: 'Notre-Dame de Paris', author: 'Victor Hugo', year: 1831, isbn: '2070422526', pages: 940 },
  { id: 2, title: 'Le Ventre de Paris', author: 'Émile Zola', year: 1873, isbn: '2253005622', pages: 512 },
]

export interface Review {
  readonly reviewer: string
  readonly text: string
  readonly stars?: number
  readonly color?: string
}

/** The book with an id. */
export function bookOf(id: number): Book | undefined {
  return books.find(book => book.id === id)
}

/** Stars by reviewer. */
export function ratingsOf(id: number): Readonly<Record<string, number>> | undefined {
  return bookOf(id) && { Reviewer1: 5 - (id % 2), Reviewer2: 4 - (id % 3) }
}

/** The reviews' texts; v2 and v3 add stars, in their colour. */
export function reviewsOf(
  id: number,
  ratings?: Readonly<Record<string, number>>,
  color?: string,
): readonly Review[] {
  const texts = [
    { reviewer: 'Reviewer1', text: 'An extremely entertaining book. The slapstick humour is refreshing!' },
    {
      reviewer: 'Reviewer2',
      text: 'Absolutely fun and entertaining. It lacks thematic depth elsewhere found.',
    },
  ]
  if (bookOf(id) === undefined) return []
  return texts.map(review => {
    const stars = ratings?.[review.reviewer]
    return stars === undefined || color === undefined ? review : { ...review, stars, color }
  })
}

/** What else a reader of a book might like: the others, nearest in time first. */
export function recommendationsFor(id: number): readonly Book[] {
  const book = bookOf(id)
  if (book === undefined) return []
  return books
    .filter(other => other.id !== id)
    .sort((a, b) => Math.abs(a.year - book.year) - Math.abs(b.year - book.year))
}
