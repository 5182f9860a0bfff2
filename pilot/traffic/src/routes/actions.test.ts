import { expect, test } from 'vitest'
import { redirectAction } from './actions.ts'

test("a redirect names a port only where it is not the scheme's own", () => {
  const portOf = (redirect: Parameters<typeof redirectAction>[0]) =>
    redirectAction(redirect, 8080).portRedirect
  expect(portOf({ scheme: 'https' })).toBeUndefined()
  expect(portOf({ scheme: 'https', derivePort: 'FROM_PROTOCOL_DEFAULT' })).toBeUndefined()
  expect(portOf({ derivePort: 'FROM_REQUEST_PORT' })).toBe(8080)
  expect(portOf({ port: 9000 })).toBe(9000)
})
