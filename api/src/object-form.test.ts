import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { MeshResource } from './mesh-resource.ts'
import { toObject, withoutSecrets } from './object-form.ts'
import { parseObject } from './parse/object.ts'
import { parseYaml } from './parse/yaml.ts'

const TESTDATA = fileURLToPath(new URL('../testdata', import.meta.url))
const FILES = readdirSync(TESTDATA, { recursive: true, encoding: 'utf8' }).filter(file =>
  file.endsWith('.valid.yaml'),
)

describe('the form in which people write objects', () => {
  it('says all that objects say', () => {
    const all = FILES.flatMap(file => parseYaml(readFileSync(join(TESTDATA, file), 'utf8'), file).resources)
    expect(all.length).toBeGreaterThan(FILES.length)
    for (const { origin: _, ...resource } of all) {
      const again = parseObject(JSON.parse(JSON.stringify(toObject(resource as MeshResource))))
      expect(again).toEqual({ ok: true, value: resource })
    }
  })

  it('has the names of a Secret and none of its values, and of the rest everything', () => {
    const { resources } = parseYaml(
      `apiVersion: v1
kind: Secret
metadata: {name: shop, labels: {app: shop}, annotations: {note: hush, seine.dev/canary: web}}
type: kubernetes.io/tls
data: {tls.crt: aGk=}
stringData: {tls.key: hush}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shop, annotations: {note: said}}
data: {tls.crt: aGk=}
`,
      'a.yaml',
    )
    const [secret, other] = resources.map(resource => toObject(withoutSecrets(resource)))
    expect(secret).toMatchObject({
      metadata: { name: 'shop', labels: { app: 'shop' }, annotations: { 'seine.dev/canary': 'web' } },
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': '', 'tls.key': '' },
    })
    expect(JSON.stringify(secret)).not.toMatch(/hush|aGk=/)
    expect(other).toMatchObject({ metadata: { annotations: { note: 'said' } }, data: { 'tls.crt': 'aGk=' } })
  })
})
