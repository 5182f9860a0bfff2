import { readFile, stat } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** The build gives these names that hold their content's hash: they never change, and nothing stands in for them. */
const ASSETS = '/assets/'
const FOREVER = 'public, max-age=31536000, immutable'

/**
 * Serves the built dashboard as it is at the moment: its files, and for every other path the page itself, which
 * knows what to show there. What the API or the build does not have is 404.
 */
export function serveDashboard(app: FastifyInstance, folder: string | undefined): void {
  if (folder !== undefined)
    void app.register(fastifyStatic, { root: folder, serve: false, cacheControl: false })
  app.setNotFoundHandler(async ({ url, method }: FastifyRequest, reply) => {
    const path = url.replace(/[?#].*/, '')
    const missing = () => reply.code(404).send({ error: `nothing is served at ${path}` })
    if (folder === undefined || (method !== 'GET' && method !== 'HEAD') || isBelow(path, '/api/'))
      return missing()
    const file = await fileAt(folder, path)
    if (file)
      return reply.header('cache-control', isBelow(path, ASSETS) ? FOREVER : 'no-cache').sendFile(file)
    return isBelow(path, ASSETS) ? missing() : sendPage(reply, folder)
  })
}

async function sendPage(reply: FastifyReply, folder: string): Promise<FastifyReply> {
  try {
    const page = await readFile(join(folder, 'index.html'), 'utf8')
    return reply.type('text/html; charset=utf-8').header('cache-control', 'no-cache').send(page)
  } catch {
    return reply.code(404).send({ error: `the dashboard is not built: there is no index.html in ${folder}` })
  }
}

/** The path in the folder of the file that a URL's path names, or undefined. */
async function fileAt(folder: string, path: string): Promise<string | undefined> {
  const inFolder = decoded(path)
  if (inFolder === undefined || !resolve(folder, `.${inFolder}`).startsWith(resolve(folder) + sep))
    return undefined
  const found = await stat(join(folder, inFolder)).catch(() => undefined)
  return found?.isFile() ? inFolder.slice(1) : undefined
}

function decoded(path: string): string | undefined {
  try {
    const text = decodeURIComponent(path)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

/** Whether a path is in a folder, or the folder itself. */
function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder) || `${path}/` === folder
}
