// The hub's HTTP API: its routes as they are registered, its types as they are written.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { anchor, code, NOTICE, table } from './markdown.mjs'
import { productSources } from './sources.mjs'

const PREFIX = '/api/v1'

/** What is no answer of a type of its own. */
const OTHER = {
  'POST /spans': '`{"accepted": <count>}`: a mixer in another process hands its spans on',
}

export function hubApiPages(root) {
  const types = typesOf(readFileSync(join(root, 'insights/src/api-types.ts'), 'utf8'))
  const routes = routesOf(root)
  const rows = routes.map(({ method, path }) => {
    const answers = types.filter(({ calls }) =>
      calls.some(call => call.method === method && call.path === path),
    )
    return [
      code(`${method} ${PREFIX}${path}`),
      OTHER[`${method} ${path}`] ??
        answers
          .map(({ name, isRow }) => `${isRow ? 'a list of ' : ''}[${name}](#${anchor(name)})`)
          .join(', '),
      [
        ...new Set(
          answers
            .flatMap(({ calls }) => calls)
            .filter(one => one.path === path)
            .map(({ query }) => code(query)),
        ),
      ].join(' '),
    ]
  })
  const text = `# HTTP API of the hub

${NOTICE}

The dashboard and \`seinectl\` read it; it is served on the dashboard's port (15080), on loopback, as JSON. It has
no login: whoever is on the machine may read it. Requests whose \`Host\` is not a name of the loopback are refused,
so that a web page elsewhere can't read it through a browser. Times are milliseconds since the epoch unless a
field says otherwise. An error answers \`{"error": "<why>"}\` with its HTTP status.

${table(['Request', 'Answer', 'Query'], rows)}

## Types

${types.map(({ name, text: source }) => `### ${name}\n\n\`\`\`ts\n${source}\n\`\`\``).join('\n\n')}`
  return [['hub-api.md', text]]
}

/** Every route that the hub registers. */
function routesOf(root) {
  const found = []
  for (const text of productSources(root, ['insights']).values())
    for (const [, method, path] of text.matchAll(
      /\bapp\s*\.(get|post|put|delete)(?:<(?:[^<>]|<[^<>]*>)*>)?\(\s*'\/api\/v1([^']*)'/g,
    ))
      found.push({ method: method.toUpperCase(), path })
  if (found.length === 0) throw new Error('tools/reference/hub-api.mjs finds no routes in insights/src')
  return found.sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** Exported types with their comments; what calls a comment names: `GET /graph?window=60`. */
function typesOf(source) {
  const DECLARATION =
    /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?export (?:interface|type) (\w+)[\s\S]*?\n(?:}|(?=\n))/g
  return [...source.matchAll(DECLARATION)].map(([text, comment = '', name]) => ({
    name,
    text: text.trim(),
    isRow: /one row/.test(comment),
    // A comment that begins with a request is that of its answer.
    calls: [...comment.matchAll(/^\/\*\*\s(?:\s\*\s)?`(GET|POST|PUT|DELETE) ([^`?]+)(\?[^`]*)?`/g)].map(
      ([, method, path, query = '']) => ({ method, path, query }),
    ),
  }))
}
