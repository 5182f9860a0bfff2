const PLAIN_KEY = /^[A-Za-z_][\w-]*$/

/** `spec.http[0].match`, with `["app.kubernetes.io/name"]` for keys that are no plain words. */
export function formatPath(path: readonly PropertyKey[]): string {
  let out = ''
  for (const key of path) {
    if (typeof key === 'number') out += `[${key}]`
    else if (PLAIN_KEY.test(String(key))) out += out === '' ? String(key) : `.${String(key)}`
    else out += `[${JSON.stringify(String(key))}]`
  }
  return out
}

/** The path without its last step, or undefined at the root. */
export function parentPath(path: string): string | undefined {
  const parent = path.replace(/(\.?[A-Za-z_][\w-]*|\[[^\]]*\])$/, '')
  return parent === path ? undefined : parent
}
