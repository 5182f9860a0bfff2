import { createRequire } from 'node:module'
import { join } from 'node:path'
import { casesIn, type GoldenOutput, renderCase } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../harness/index.ts'

// How grpc-js reads what it is sent: it exports nothing of it.
process.env['GRPC_XDS_EXPERIMENTAL_RBAC'] = 'true'
const require = createRequire(import.meta.url)
require('@grpc/grpc-js-xds').register()
const reader = (file: string, name: string) =>
  require(`@grpc/grpc-js-xds/build/src/xds-resource-type/${file}-resource-type`)[name].get() as {
    getFullTypeUrl(): string
    decode(context: object, resource: object): { readonly name: string; readonly error?: string }
  }
const READERS = {
  listeners: reader('listener', 'ListenerResourceType'),
  routes: reader('route-config', 'RouteConfigurationResourceType'),
  clusters: reader('cluster', 'ClusterResourceType'),
  endpoints: reader('endpoint', 'EndpointResourceType'),
}
const CONTEXT = { server: {}, bootstrap: { certificateProviders: { default: {} } } }
const TESTDATA = join(ROOT, 'pilot', 'traffic', 'testdata')

const outputs = casesIn(TESTDATA)
  .flatMap(name => renderCase(join(TESTDATA, name)).map(output => ({ name, ...output })))
  .filter(({ generator }) => generator === 'grpc')

/** What gRPC has against resources; and how many there are. */
function read({ resources }: GoldenOutput): { count: number; errors: string[] } {
  const found = { count: 0, errors: [] as string[] }
  for (const [type, reader] of Object.entries(READERS))
    for (const { name, bytes } of resources[type as keyof typeof READERS]) {
      const resource = { type_url: reader.getFullTypeUrl(), value: Buffer.from(bytes) }
      const decoded = reader.decode(CONTEXT, resource)
      found.count += 1
      if (decoded.error !== undefined) found.errors.push(`${name}: ${decoded.error}`)
      if (decoded.name !== name) found.errors.push(`${name} is called ${decoded.name}`)
    }
  return found
}

describe('golden cases for gRPC', () => {
  it('are there', () => expect(outputs.length).toBeGreaterThan(3))

  it.each(outputs)('$name, $proxy: gRPC takes all of it', output => {
    const { count, errors } = read(output)
    expect(count).toBeGreaterThan(0)
    expect(errors).toEqual([])
  })
})
