import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  describeMesh,
  eventually,
  PeerPort,
  type Pod,
  publicKeyOf,
  readCertificate,
  run,
  sClient,
  selfSigned,
  shownCertificates,
} from '../harness/index.ts'

const DAY_MS = 24 * 3_600_000

describeMesh('certificates', mesh => {
  /** The handshake as a stranger sees it: a pod without a sidecar, so that nothing stands between. */
  const handshake = (pod: Pod, ...more: readonly string[]) =>
    sClient(mesh().pod('outsider'), pod.ip, PeerPort.http, '-alpn', 'istio', ...more)
  const certificateOf = async (pod: Pod) => {
    const [own = ''] = shownCertificates(await handshake(pod))
    return readCertificate(own)
  }
  const rootFile = () => join(mesh().place.stateFolder, 'citadel', 'root-cert.pem')

  test('each workload shows the SPIFFE id of its service account', async () => {
    for (const [workload, id] of [
      ['echo-v1', 'ns/shop/sa/echo'],
      ['client-v1', 'ns/shop/sa/client'],
      ['visitor-v1', 'ns/partner/sa/visitor'],
    ] as const) {
      const { subjectAltNames, text } = await certificateOf(mesh().pod(workload))
      expect(subjectAltNames.filter(name => name.startsWith('URI:'))).toEqual([
        `URI:spiffe://cluster.local/${id}`,
      ])
      expect(text).toContain('CA:FALSE')
    }
  })

  test('it is signed by the mesh’s root, holds now, and for a day at most', async () => {
    const pod = mesh().pod('echo-v1')
    const shaken = await handshake(pod, '-CAfile', rootFile(), '-verify_return_error')
    expect(shaken.stdout).toContain('Verify return code: 0 (ok)')
    const root = await readCertificate(await readFile(rootFile(), 'utf8'))
    const { issuer, notBefore, notAfter } = await certificateOf(pod)
    expect(issuer).toBe(root.subject)
    expect(notBefore.getTime()).toBeLessThanOrEqual(Date.now())
    expect(notAfter.getTime()).toBeGreaterThan(Date.now())
    expect(notAfter.getTime() - notBefore.getTime()).toBeLessThanOrEqual(DAY_MS + 3_600_000)
    expect(root.text).toContain('CA:TRUE')
  })

  test('replicas of an account share an identity and no key', async () => {
    const [first, second] = [
      await certificateOf(mesh().pod('echo-v1')),
      await certificateOf(mesh().pod('echo-v2')),
    ]
    expect(first.publicKey).not.toBe(second.publicKey)
    expect(first.serial).not.toBe(second.serial)
  })

  test('the hub shows what is in use', async () => {
    const pod = mesh().pod('echo-v1')
    const { notAfter } = await certificateOf(pod)
    await eventually(async () => {
      const shown = (await mesh().hub.workloads()).find(one => one.pod === pod.name)?.certificate
      expect(shown?.identity).toBe('spiffe://cluster.local/ns/shop/sa/echo')
      expect(Math.abs((shown?.notAfter ?? 0) - notAfter.getTime())).toBeLessThan(1_000)
    })
  })

  test('a stranger gets no further than the handshake', async () => {
    const pod = mesh().pod('echo-v1')
    const request = `GET / HTTP/1.1\r\nhost: echo\r\nconnection: close\r\n\r\n`
    const ask = (...more: readonly string[]) =>
      mesh()
        .pod('outsider')
        .exec(
          [
            'openssl',
            's_client',
            '-connect',
            `${pod.ip}:${PeerPort.http}`,
            '-alpn',
            'istio',
            '-ign_eof',
            '-quiet',
            ...more,
          ],
          request,
        )
    const nobody = await ask()
    expect(nobody.stdout).not.toContain('HTTP/1.1')
    expect(nobody.stderr).toMatch(/certificate required/)

    const forged = await selfSigned('spiffe.example.com')
    const folder = mesh().place.folder
    const [key, cert] = [join(folder, 'forged-key.pem'), join(folder, 'forged-cert.pem')]
    await run(['tee', key], forged.key)
    await run(['tee', cert], forged.cert)
    const impostor = await ask('-key', key, '-cert', cert)
    expect(impostor.stdout).not.toContain('HTTP/1.1')
    expect(impostor.stderr).toMatch(/alert/)
  })

  test('no workload’s private key is on disk', async () => {
    const { stateFolder } = mesh().place
    const entries = await readdir(stateFolder, { recursive: true, withFileTypes: true })
    const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
    const keys = new Map<string, string>()
    for (const file of files) {
      const text = await readFile(file, 'latin1')
      for (const [pem] of text.matchAll(
        /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----/g,
      ))
        keys.set(pem, file)
    }
    // The CA's own key is kept, readable by nobody else.
    expect(keys.size).toBeGreaterThan(0)
    for (const file of keys.values()) {
      expect(file.startsWith(join(stateFolder, 'citadel'))).toBe(true)
      expect((await stat(file)).mode & 0o077).toBe(0)
    }
    const kept = await Promise.all([...keys.keys()].map(publicKeyOf))
    // Gateways take no connections before something says what for.
    const taking = mesh().meshedPods.filter(({ name }) => !/^(edge|exit)-/.test(name))
    expect(taking.length).toBeGreaterThan(0)
    for (const pod of taking) expect(kept).not.toContain((await certificateOf(pod)).publicKey)
  })

  test('the socket that serves the key is the proxy’s own', async () => {
    const folder = join(mesh().place.stateFolder, 'run', mesh().pod('echo-v1').name, 'proxy')
    const [socket, around] = [await stat(join(folder, 'agent.sock')), await stat(folder)]
    expect(socket.isSocket()).toBe(true)
    expect(around.mode & 0o077).toBe(0)
    expect(around.uid).toBe(1337)
  })

  test('Envoy does not show the key to whoever asks its admin port', async () => {
    const dump = await mesh().pod('echo-v1').admin('/config_dump')
    expect(dump).toContain('spiffe://cluster.local')
    expect(dump).not.toMatch(/BEGIN [A-Z ]*PRIVATE KEY/)
    const secrets = JSON.parse(
      await mesh().pod('echo-v1').admin('/config_dump?resource=dynamic_active_secrets'),
    )
    expect(JSON.stringify(secrets)).toContain('[redacted]')
  })
})
