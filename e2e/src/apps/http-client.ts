import { Agent, type IncomingMessage, request } from 'node:http'
import { plain } from './headers.ts'
import type { HttpCall, Outcome, UpgradeCall } from './protocol.ts'
import { repeat } from './repeat.ts'

/** Makes HTTP/1.1 requests. Redirects are not followed: they are outcomes. */
export async function callHttp(call: HttpCall): Promise<readonly Outcome[]> {
  const agent = new Agent({ keepAlive: call.keepAlive ?? false })
  const outcomes = await repeat(call, signal => once(call, agent, signal))
  agent.destroy()
  return outcomes
}

function once(call: HttpCall, agent: Agent, signal: AbortSignal): Promise<Omit<Outcome, 'ms'>> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body } = call
    const sent = request(call.url, { agent, method, headers, signal }, response => {
      read(response).then(resolve, reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

async function read(response: IncomingMessage): Promise<Omit<Outcome, 'ms'>> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return {
    status: response.statusCode ?? 0,
    headers: plain(response.headers),
    body: Buffer.concat(chunks).toString('utf8'),
  }
}

/** Upgrades connections to WebSockets and sends text on them; what comes back is the body. */
export function callUpgrade(call: UpgradeCall): Promise<readonly Outcome[]> {
  return repeat(call, signal => upgraded(call, signal))
}

function upgraded({ url, message }: UpgradeCall, signal: AbortSignal): Promise<Omit<Outcome, 'ms'>> {
  return new Promise((resolve, reject) => {
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.from('seine-e2e-upgrad').toString('base64'),
    }
    const sent = request(url, { headers, signal }, response => {
      read(response).then(resolve, reject)
    })
    sent.on('error', reject)
    sent.on('upgrade', (response, socket, head) => {
      let body = head.toString('utf8')
      socket.on('error', reject)
      socket.on('close', () => reject(new Error(`closed after ${JSON.stringify(body)}`)))
      socket.on('data', (chunk: Buffer) => {
        body += chunk.toString('utf8')
        if (body.length < message.length) return
        resolve({ status: response.statusCode ?? 0, headers: plain(response.headers), body })
        socket.destroy()
      })
      socket.write(message)
    })
    sent.end()
  })
}
