import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, meshRuns, ROOT, run } from '../harness/index.ts'
import { OwnProcess } from './own-process.ts'
import { type Claims, TokenIssuer } from './token-issuer.ts'

/** A network namespace of its own: all ports are free there, and Envoy may open its listeners. */
const NETNS = `seine-e2e-${process.pid}`
const inside = (...command: string[]) => ['ip', 'netns', 'exec', NETNS, ...command]
const WAIT = { timeoutMs: 30_000 }

const issuer = new TokenIssuer()
const forger = new TokenIssuer()
const stranger = new TokenIssuer('unknown')

interface Refusal {
  readonly title: string
  readonly token: string
  readonly says: RegExp
  /** What pilot says, which knows of accounts and not of pods; null where it has no objection. */
  readonly pilotSays: RegExp | null
}

const good: Claims = { serviceAccount: 'alice', pod: 'web-1' }

const REFUSED: readonly Refusal[] = [
  {
    title: 'a token with a forged signature',
    token: forger.token(good),
    says: /the token's signature is wrong/,
    pilotSays: /the token's signature is wrong/,
  },
  {
    title: 'a token of an issuer that nobody knows',
    token: stranger.token(good),
    says: /the token was issued by nobody this mesh trusts/,
    pilotSays: /the token was issued by nobody this mesh trusts/,
  },
  {
    title: 'a token for another audience',
    token: issuer.token({ ...good, audience: 'somebody-else' }),
    says: /its audience must be istio-ca/,
    pilotSays: /its audience must be istio-ca/,
  },
  {
    title: 'a token that has expired',
    token: issuer.token({ ...good, expiresInS: -60 }),
    says: /the token has expired/,
    pilotSays: /the token has expired/,
  },
  {
    title: "a CSR for somebody else's account",
    token: issuer.token({ ...good, serviceAccount: 'mallory' }),
    says: /the CSR asks for spiffe:\/\/cluster\.local\/ns\/shop\/sa\/alice, but its token is for spiffe:\/\/cluster\.local\/ns\/shop\/sa\/mallory/,
    pilotSays: /the proxy says it is ns\/shop\/sa\/alice, but its token is for spiffe:.+\/sa\/mallory/,
  },
  {
    title: 'a CSR for a workload of another namespace',
    token: issuer.token({ ...good, namespace: 'vault' }),
    says: /the CSR asks for spiffe:\/\/cluster\.local\/ns\/shop\/sa\/alice, but its token is for .+\/ns\/vault\/sa\/alice/,
    pilotSays: /but its token is for spiffe:\/\/cluster\.local\/ns\/vault\/sa\/alice/,
  },
  {
    title: "a CSR for another pod's workload",
    token: issuer.token({ ...good, pod: 'other-1' }),
    says: /the CSR asks for the workload web, but its token is for the pod other-1/,
    pilotSays: null,
  },
]

/** GETs a path on a port in the namespace. */
async function get(port: number, path: string): Promise<string> {
  const script = `fetch('http://127.0.0.1:${port}${path}').then(async r => console.log(r.status, await r.text()), e => console.log('failed', e.cause?.code))`
  return (await run(inside(process.execPath, '-e', script))).stdout.trim()
}

describe.skipIf(!meshRuns())('who may have an identity', () => {
  let folder: string
  let seined: OwnProcess

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'seine-id-'))
    for (const step of [
      ['ip', 'netns', 'add', NETNS],
      ['ip', '-n', NETNS, 'link', 'set', 'lo', 'up'],
    ])
      expect(await run(step)).toMatchObject({ code: 0 })
    await mkdir(join(folder, 'state', 'citadel'), { recursive: true })
    await mkdir(join(folder, 'config'))
    await writeFile(join(folder, 'state', 'citadel', 'token-issuers.json'), issuer.jwks)
    const program = [process.execPath, join(ROOT, 'seined', 'bin', 'seined.js')]
    const folders = ['--config', join(folder, 'config'), '--state', join(folder, 'state')]
    seined = new OwnProcess(inside(...program, 'all', ...folders), join(folder, 'seined.log'))
    await eventually(async () => expect(await get(15014, '/readyz')).toBe('200 ready'), WAIT)
  })
  afterAll(async () => {
    await seined?.stop()
    await run(['ip', 'netns', 'del', NETNS])
    await rm(folder, { recursive: true, force: true })
  })

  /** A real agent with a token, as account `alice` of namespace `shop`. */
  async function withAgent(token: string, act: (agent: OwnProcess) => Promise<void>): Promise<void> {
    const own = await mkdtemp(join(folder, 'agent-'))
    await writeFile(join(own, 'token'), token)
    const program = [process.execPath, join(ROOT, 'agent', 'bin', 'seine-agent.js'), 'proxy']
    const agent = new OwnProcess(inside(...program), join(own, 'agent.log'), {
      POD_NAME: 'web-1',
      POD_NAMESPACE: 'shop',
      SERVICE_ACCOUNT: 'alice',
      WORKLOAD_NAME: 'web',
      INSTANCE_IP: '127.0.0.1',
      CA_ADDR: '127.0.0.1:15012',
      XDS_ADDR: '127.0.0.1:15012',
      TOKEN_FILE: join(own, 'token'),
      ROOT_CERT_FILE: join(folder, 'state', 'citadel', 'root-cert.pem'),
      RUN_DIR: own,
      DRAIN_MS: '0',
    })
    try {
      await act(agent)
    } finally {
      await agent.stop()
    }
  }

  /** The listeners that Envoy has, by name. */
  async function listeners(): Promise<string> {
    const answer = await get(15000, '/listeners')
    expect(answer).toMatch(/^200 /)
    return answer
  }

  test('a workload with its own token gets a certificate and its configuration', async () => {
    await withAgent(issuer.token(good), async agent => {
      await eventually(async () => expect(await get(15021, '/healthz/ready')).toBe('200 ready'), WAIT)
      const identity = 'spiffe://cluster.local/ns/shop/sa/alice'
      const issued = expect.objectContaining({ identity, msg: 'certificate received' })
      expect(await agent.log()).toContainEqual(issued)
      await eventually(async () => expect(await listeners()).toContain('virtualInbound'))
    })
  }, 60_000)

  test.each(REFUSED)('$title is refused; agent and citadel say why', async ({ token, says, pilotSays }) => {
    const before = (await seined.log()).length
    await withAgent(token, async agent => {
      const reason = expect.stringMatching(says)
      const told = { level: 40, reason, holdsOne: false, msg: 'no certificate from citadel' }
      await eventually(
        async () => expect(await agent.log()).toContainEqual(expect.objectContaining(told)),
        WAIT,
      )
      const audited = { level: 40, audit: true, reason, msg: 'certificate refused' }
      expect((await seined.log()).slice(before)).toContainEqual(expect.objectContaining(audited))
      // Its Envoy runs and has nothing to serve with.
      await eventually(async () => expect(await listeners()).toContain('prometheus'), WAIT)
      if (pilotSays) {
        const refused = { reason: expect.stringMatching(pilotSays), msg: 'xds stream refused' }
        await eventually(async () =>
          expect((await seined.log()).slice(before)).toContainEqual(expect.objectContaining(refused)),
        )
        expect(await listeners()).not.toContain('virtual')
      }
      expect(await get(15021, '/healthz/ready')).toBe('503 no certificate yet')
      expect(await agent.log()).not.toContainEqual(expect.objectContaining({ msg: 'certificate received' }))
    })
  }, 60_000)
})
