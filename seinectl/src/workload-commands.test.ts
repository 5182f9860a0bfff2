import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runCaptured } from './testing-terminal.ts'

const GROUP = `apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: ledger-vm, namespace: shop}
spec:
  metadata:
    labels: {app: ledger, version: v2, tier: gold}
    annotations: {traffic.sidecar.istio.io/excludeInboundPorts: "9901"}
  template: {serviceAccount: ledger, labels: {version: v1}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "trustDomain: shop.example"}
`

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seinectl-workload-'))
  await writeFile(join(folder, 'group.yaml'), GROUP)
})

afterEach(() => rm(folder, { recursive: true }))

const configure = (...flags: string[]) =>
  runCaptured([
    'workload-configure',
    'ledger-vm',
    '--config',
    folder,
    '--output-dir',
    join(folder, 'out'),
    ...flags,
  ])
const AT = ['--address', '192.0.2.7', '--control-plane', '192.0.2.1:15012']

test('writes the environment of the agent, and capture rules as the annotations of the group say', async () => {
  const { code, out, err } = await configure('-n', 'shop', ...AT, '--network', 'dc', '--proxy-uid', '1400')
  expect([code, err]).toEqual([0, ''])
  const files = ['agent.env', 'capture.rules'].map(file => join(folder, 'out', file))
  expect(out).toBe(`${files.join('\n')}\n`)
  const [environment, rules] = await Promise.all(files.map(file => readFile(file, 'utf8')))
  expect(environment).toBe(`ISTIO_META_AUTO_REGISTER_GROUP='ledger-vm'
ISTIO_META_NETWORK='dc'
POD_NAMESPACE='shop'
SERVICE_ACCOUNT='ledger'
INSTANCE_IP='192.0.2.7'
LABELS='{"app":"ledger","version":"v2"}'
TRUST_DOMAIN='shop.example'
CA_ADDR='192.0.2.1:15012'
XDS_ADDR='192.0.2.1:15012'
OTLP_ADDR='192.0.2.1:4317'
TOKEN_FILE='/var/run/secrets/tokens/istio-token'
ROOT_CERT_FILE='/etc/certs/root-cert.pem'
RUN_DIR='/run/seine'
`)
  const lines = rules?.split('\n')
  for (const port of [22, 9901]) expect(lines).toContain(`-A ISTIO_INBOUND -p tcp --dport ${port} -j RETURN`)
  expect(lines).toContain('-A ISTIO_OUTPUT -m owner --uid-owner 1400 -j RETURN')
})

test.each([
  [AT, 1, 'WorkloadGroup "ledger-vm" not found in namespace default'],
  [['-n', 'shop', '--address', 'vm', ...AT.slice(2)], 2, '--address must be an IP address, not vm'],
  [['-n', 'shop', ...AT.slice(0, 2), '--control-plane', 'x'], 2, 'it is <host>:<port>'],
])('says what is wrong with %j', async (flags, code, message) => {
  const ran = await configure(...flags)
  expect(ran.code).toBe(code)
  expect(ran.err).toContain(message)
})

test('says which annotation of the group is no good', async () => {
  await writeFile(join(folder, 'group.yaml'), GROUP.replace('"9901"', 'all'))
  const ran = await configure('-n', 'shop', ...AT)
  expect(ran.code).toBe(1)
  expect(ran.err).toContain('traffic.sidecar.istio.io/excludeInboundPorts')
})
