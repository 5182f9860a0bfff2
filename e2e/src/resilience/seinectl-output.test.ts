import { tmpdir } from 'node:os'
import { beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { describeMesh, eventually, type Ran, seinectl as seinectlIn } from '../harness/index.ts'
import { destinationRule, documents, virtualService } from '../harness/resources.ts'

const HOST = 'echo.shop.svc.cluster.local'

/** Without flags or files of its own: it finds the mesh, and the mesh's folders, by itself. */
async function seinectl(...args: readonly string[]): Promise<Ran> {
  return seinectlIn(args, '', tmpdir())
}

/** What it prints, which is to be without complaint. */
async function printed(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await seinectl(...args)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

/** The cells of a table, below its head. */
function cells(table: string): string[][] {
  const [, ...rows] = table.split('\n\n', 1)[0]?.split('\n').filter(Boolean) ?? []
  return rows.map(row => row.split(/ {2,}/))
}

describeMesh('what seinectl prints of a running mesh', mesh => {
  beforeAll(() =>
    mesh().apply(
      'printed',
      documents(
        destinationRule('echo'),
        virtualService('echo', [
          {
            name: 'printed',
            match: [{ port: 80 }],
            route: [{ destination: { host: 'echo', subset: 'v2', port: { number: 80 } } }],
          },
        ]),
      ),
    ),
  )

  /** The same in JSON and YAML. @returns what both say. */
  async function data(...args: readonly string[]): Promise<unknown> {
    const [json, yaml] = await Promise.all([printed(...args, '-o', 'json'), printed(...args, '-o', 'yaml')])
    expect(parse(yaml)).toEqual(JSON.parse(json))
    return JSON.parse(json)
  }

  test('proxy-status: how many resources each proxy has, as the hub counts them', async () => {
    const proxies = await mesh().hub.proxies()
    expect(await data('proxy-status')).toEqual(expect.arrayContaining([...proxies]))
    const rows = cells(await printed('proxy-status'))
    expect(rows).toHaveLength(proxies.length)
    for (const { pod, namespace, types } of proxies) {
      const row = rows.find(([name]) => name === `${pod}.${namespace}`)
      // A gateway asks for no endpoints and routes before it has servers.
      for (const type of ['CDS', 'EDS', 'LDS', 'RDS'].filter(name => name in types))
        expect(row).toContain(`SYNCED (${types[type]?.resources})`)
      expect(Object.keys(types)).toEqual(expect.arrayContaining(['CDS', 'LDS']))
    }
  })

  test('proxy-config: every part, as a table and as data', async () => {
    const client = mesh().pod('client')
    const show = (what: string, ...more: string[]) =>
      ['proxy-config', what, 'client-v1.shop', ...more] as const
    const clusters = cells(await printed(...show('clusters', '--fqdn', HOST)))
    expect(clusters.map(([host, port, subset]) => `${host} ${port} ${subset}`)).toEqual(
      expect.arrayContaining([`${HOST} 80 -`, `${HOST} 80 v2`]),
    )
    expect(await data(...show('clusters', '--fqdn', HOST, '--port', '80'))).toContainEqual(
      expect.objectContaining({ name: `outbound|80|v2|${HOST}`, type: 'EDS' }),
    )
    const routes = cells(await printed(...show('routes', '--port', '80', '--fqdn', HOST)))
    expect(routes).toEqual([expect.arrayContaining(['80', `outbound|80|v2|${HOST}`])])
    expect(JSON.stringify(await data(...show('routes', '--port', '80')))).toContain('"printed"')
    const endpoints = cells(await printed(...show('endpoints', '--name', '|v2|', '--port', '80')))
    expect(endpoints.map(([address]) => address)).toEqual([`${mesh().pod('echo-v2').ip}:8080`])
    expect(await data(...show('endpoints', '--name', '|v2|', '--port', '80'))).toHaveLength(1)
    const listeners = cells(await printed(...show('listeners')))
    expect(listeners.map(([name]) => name)).toEqual(
      expect.arrayContaining(['virtualInbound', 'virtualOutbound']),
    )
    expect(await data(...show('listeners', '--name', 'virtualInbound'))).toHaveLength(1)
    // The hub reads certificates at intervals.
    const { certificates } = JSON.parse(await client.admin('/certs')) as {
      certificates: { cert_chain: { serial_number: string }[] }[]
    }
    const serial = certificates
      .flatMap(({ cert_chain }) => cert_chain.map(one => one.serial_number))
      .find(Boolean)
    await eventually(async () => {
      const [secret] = cells(await printed(...show('secrets')))
      expect(secret?.slice(0, 3)).toEqual([
        'default',
        'Cert Chain',
        'spiffe://cluster.local/ns/shop/sa/client',
      ])
      expect(secret?.[3]?.toLowerCase().replace(/^0+/, '')).toBe(serial?.replace(/^0+/, ''))
    })
    const secrets = await data(...show('secrets'))
    expect(secrets).toEqual([expect.objectContaining({ privateKey: '[held by the agent]' })])
  })

  test('get, version and their formats', async () => {
    expect(cells(await printed('get', 'vs', '-n', 'shop')).map(([name]) => name)).toEqual(['echo'])
    expect(await data('get', 'vs', 'echo', '-n', 'shop')).toMatchObject({
      kind: 'VirtualService',
      metadata: { name: 'echo', namespace: 'shop' },
      spec: { http: [{ name: 'printed' }] },
    })
    const server = {
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      envoy: '1.40.0',
      trustDomain: 'cluster.local',
    }
    expect(await data('version')).toMatchObject({ clientVersion: expect.any(String), server })
    expect(await printed('version')).toContain('(http://127.0.0.1:15080)')
  })

  test('what is not there is an error that says so', async () => {
    expect(await seinectl('proxy-config', 'routes', 'nobody')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('no proxy of "nobody" is connected'),
    })
    expect(await seinectl('delete', 'vs', 'nothing', '-n', 'shop')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('"nothing" not found in namespace shop'),
    })
    expect((await seinectl('proxy-config', 'rutes', 'client-v1')).code).toBe(2)
  })
})
