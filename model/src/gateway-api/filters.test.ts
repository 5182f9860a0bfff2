import { describe, expect, it } from 'vitest'
import { finishRedirect, substitution } from './filters.ts'

describe('a prefix that is replaced', () => {
  // The table of the specification, and its corners.
  it.each([
    ['/foo', '/xyz', '/foo/bar', '/xyz/bar'],
    ['/foo', '/xyz/', '/foo/bar', '/xyz/bar'],
    ['/foo/', '/xyz', '/foo/bar', '/xyz/bar'],
    ['/foo/', '/xyz/', '/foo/bar', '/xyz/bar'],
    ['/foo', '/xyz', '/foo', '/xyz'],
    ['/foo', '/xyz', '/foo/', '/xyz/'],
    ['/foo', '', '/foo/bar', '/bar'],
    ['/foo', '', '/foo/', '/'],
    ['/foo', '', '/foo', '/'],
    ['/foo', '/', '/foo/', '/'],
    ['/foo', '/', '/foo', '/'],
    ['/', '/xyz', '/foo', '/xyz/foo'],
    ['/', '/', '/foo', '/foo'],
    ['/a.b', '/c\\d', '/a.b/e', '/c\\d/e'],
  ])('%s by %s makes of %s %s', (prefix, replacePrefixMatch, path, expected) => {
    const found = substitution({ type: 'ReplacePrefixMatch', replacePrefixMatch }, prefix)
    expect(applied(found, path)).toBe(expected)
  })

  it.each([
    ['/whole', '/a/b', '/whole'],
    ['', '/a', '/'],
    ['x', '/a', '/x'],
  ])('a whole path by %s', (replaceFullPath, path, expected) => {
    expect(applied(substitution({ type: 'ReplaceFullPath', replaceFullPath }, '/'), path)).toBe(expected)
  })
})

/** As RE2 does it: `\\` stands for one. */
function applied(found: ReturnType<typeof substitution>, path: string): string {
  if (!found) return path
  return path.replace(new RegExp(found.match), () => found.rewrite.replaceAll('\\\\', '\\'))
}

describe('the port of a redirect', () => {
  const at = (port: number, scheme: 'http' | 'https' = 'http') => ({ port, scheme })
  it.each([
    ['the listener’s own, which need not be said', {}, at(80), undefined],
    ['the listener’s own', {}, at(8080), 8080],
    ['the listener’s own with another host', { authority: 'b.example' }, at(8080), 8080],
    ['the scheme’s, which need not be said', { scheme: 'https' as const }, at(80), undefined],
    ['the scheme’s, in place of the request’s', { scheme: 'https' as const }, at(8080), 443],
    [
      'the scheme’s with another host',
      { scheme: 'https' as const, authority: 'b.example' },
      at(8080),
      undefined,
    ],
    ['the one that is given', { port: 8443 }, at(80), 8443],
    [
      'the one that is given, which need not be said',
      { port: 443, scheme: 'https' as const },
      at(443, 'https'),
      undefined,
    ],
    ['the scheme’s from one with TLS', { scheme: 'http' as const }, at(8443, 'https'), 80],
  ])('is %s', (_case, redirect, listener, port) => {
    expect(finishRedirect(redirect, listener).port).toBe(port)
  })
})
