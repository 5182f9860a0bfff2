import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, meshRuns } from '../harness/index.ts'
import { OwnMesh } from './own-mesh.ts'
import type { OwnProcess } from './own-process.ts'
import { type Claims, TokenIssuer } from './token-issuer.ts'

const WAIT = { timeoutMs: 30_000 }
const claims: Claims = { serviceAccount: 'alice', pod: 'web-1' }
/** Uses the key id of the mesh's issuer, but has not its key. */
const forger = new TokenIssuer()
const stranger = new TokenIssuer('unknown')

interface Refusal {
  readonly title: string
  readonly token: (mesh: OwnMesh) => string
  /** Why citadel refuses. */
  readonly says: RegExp
  /** Why pilot refuses, which knows of accounts and not of pods; null where it has no objection. */
  readonly pilotSays: RegExp | null
}

/** What is wrong with the token itself is the same to both. */
const badToken = (title: string, token: Refusal['token'], says: RegExp): Refusal => ({
  title,
  token,
  says,
  pilotSays: says,
})

const REFUSED: readonly Refusal[] = [
  badToken('a token with a forged signature', () => forger.token(claims), /the token's signature is wrong/),
  badToken(
    'a token of an unknown issuer',
    () => stranger.token(claims),
    /the token was issued by nobody this mesh trusts/,
  ),
  badToken(
    'a token for another audience',
    mesh => mesh.token({ audience: 'somebody-else' }),
    /its audience must be istio-ca/,
  ),
  badToken('a token that has expired', mesh => mesh.token({ expiresInS: -60 }), /the token has expired/),
  {
    title: 'a CSR for the account of somebody else',
    token: mesh => mesh.token({ serviceAccount: 'mallory' }),
    says: /the CSR asks for spiffe:\/\/cluster\.local\/ns\/shop\/sa\/alice, but its token is for spiffe:\/\/cluster\.local\/ns\/shop\/sa\/mallory/,
    pilotSays: /the proxy says it is ns\/shop\/sa\/alice, but its token is for spiffe:.+\/sa\/mallory/,
  },
  {
    title: 'a CSR for an account of another namespace',
    token: mesh => mesh.token({ namespace: 'vault' }),
    says: /the CSR asks for spiffe:\/\/cluster\.local\/ns\/shop\/sa\/alice, but its token is for .+\/ns\/vault\/sa\/alice/,
    pilotSays: /but its token is for spiffe:\/\/cluster\.local\/ns\/vault\/sa\/alice/,
  },
  {
    title: 'a CSR for the workload of another pod',
    token: mesh => mesh.token({ pod: 'other-1' }),
    says: /the CSR asks for the workload web, but its token is for the pod other-1/,
    pilotSays: null,
  },
]

describe.skipIf(!meshRuns())('who gets an identity', () => {
  let mesh: OwnMesh
  let seined: OwnProcess

  beforeAll(async () => {
    mesh = await OwnMesh.make()
    seined = await mesh.seined()
  })
  afterAll(() => mesh?.close())

  /** The listeners that Envoy has, by name. */
  async function listeners(): Promise<string> {
    const answer = await mesh.get(15000, '/listeners')
    expect(answer).toMatch(/^200 /)
    return answer
  }

  test('a workload with its own token: it has its configuration and is ready', async () => {
    const agent = await mesh.agent(mesh.token())
    await eventually(async () => expect(await mesh.get(15021, '/healthz/ready')).toBe('200 ready'), WAIT)
    const identity = 'spiffe://cluster.local/ns/shop/sa/alice'
    expect(await agent.log()).toContainEqual(
      expect.objectContaining({ identity, msg: 'certificate received' }),
    )
    await eventually(async () => expect(await listeners()).toContain('virtualInbound'))
    await agent.stop()
  }, 60_000)

  test.each(REFUSED)('not $title: agent and citadel say why', async ({ token, says, pilotSays }) => {
    const before = (await seined.log()).length
    const seinedSays = async (line: object) =>
      expect((await seined.log()).slice(before)).toContainEqual(expect.objectContaining(line))
    const agent = await mesh.agent(token(mesh))
    const reason = expect.stringMatching(says)
    const told = { level: 40, reason, holdsOne: false, msg: 'no certificate from citadel' }
    await eventually(
      async () => expect(await agent.log()).toContainEqual(expect.objectContaining(told)),
      WAIT,
    )
    await seinedSays({ level: 40, audit: true, reason, msg: 'certificate refused' })
    if (pilotSays) {
      const refused = { reason: expect.stringMatching(pilotSays), msg: 'xds stream refused' }
      await eventually(() => seinedSays(refused))
      // Without a word from pilot there is no Envoy.
      expect(await mesh.get(15000, '/listeners')).toBe('failed ECONNREFUSED')
    } else await eventually(async () => expect(await listeners()).toContain('prometheus'), WAIT)
    expect(await mesh.get(15021, '/healthz/ready')).toMatch(/^503 no certificate yet: ./)
    expect(await agent.log()).not.toContainEqual(expect.objectContaining({ msg: 'certificate received' }))
    await agent.stop()
  }, 60_000)
})
