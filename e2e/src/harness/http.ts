/** GETs text, or throws what the server said. */
export async function getText(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) })
  const body = await response.text()
  if (!response.ok) throw new Error(`GET ${url}: ${response.status} ${body}`)
  return body
}

/** GETs JSON, or throws what the server said. */
export async function getJson<T>(url: string): Promise<T> {
  return JSON.parse(await getText(url)) as T
}

/** POSTs JSON and reads JSON, or throws what the server said. */
export async function postJson<T>(url: string, body: unknown, timeoutMs = 120_000): Promise<T> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`POST ${url}: ${response.status} ${text}`)
  return JSON.parse(text) as T
}
