import { readFile } from 'node:fs/promises'
import { run } from './runtime/command.ts'

/** Capabilities without which no network namespace can be made: CAP_NET_ADMIN and CAP_SYS_ADMIN. */
const NEEDED = [12n, 21n] as const

/** How the pods' namespaces can be made here. */
export type Footing =
  /** This process may do everything itself. */
  | { readonly kind: 'direct' }
  /** Inside a user namespace that maps many user ids (`newuidmap`), or only one. */
  | { readonly kind: 'user-namespace'; readonly ids: 'many' | 'one'; readonly unshare: readonly string[] }
  | { readonly kind: 'none'; readonly missing: readonly string[] }

/** Set by the outer process for the one inside the user namespace: how many user ids it has. */
export const INSIDE_VARIABLE = 'SEINE_DEMO_INSIDE'

const SEPARATE = ['--net', '--mount'] as const

/** Whether an effective capability mask, as in `/proc/self/status`, suffices. */
export function suffices(status: string): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1]
  if (mask === undefined) return false
  const effective = BigInt(`0x${mask}`)
  return NEEDED.every(bit => (effective & (1n << bit)) !== 0n)
}

/** Finds out, by trying, what this machine allows. */
export async function findFooting(): Promise<Footing> {
  if (suffices(await readFile('/proc/self/status', 'utf8'))) return { kind: 'direct' }
  const many = ['--user', '--map-root-user', '--map-auto', ...SEPARATE]
  const tryMany = await run('unshare', [
    ...many,
    '--',
    'setpriv',
    '--reuid',
    '1337',
    '--regid',
    '1337',
    '--clear-groups',
    'true',
  ])
  if (tryMany.ok) return { kind: 'user-namespace', ids: 'many', unshare: many }
  const one = ['--user', '--map-root-user', ...SEPARATE]
  const tryOne = await run('unshare', [...one, '--', 'ip', 'link', 'set', 'lo', 'up'])
  if (tryOne.ok) return { kind: 'user-namespace', ids: 'one', unshare: one }
  return { kind: 'none', missing: [tryOne.error, ...(await explain())] }
}

async function explain(): Promise<readonly string[]> {
  const lines = ['the demo needs network namespaces: run it as root, or allow unprivileged user namespaces:']
  const settings: readonly (readonly [file: string, refuses: string, remedy: string])[] = [
    ['/proc/sys/kernel/unprivileged_userns_clone', '0', 'sysctl -w kernel.unprivileged_userns_clone=1'],
    ['/proc/sys/user/max_user_namespaces', '0', 'sysctl -w user.max_user_namespaces=15000'],
    [
      '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
      '1',
      'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
    ],
  ]
  for (const [file, refuses, remedy] of settings) {
    const value = await readFile(file, 'utf8').catch(() => undefined) // Not on this kernel: not the cause.
    if (value?.trim() === refuses) lines.push(`${file} is ${refuses}: an administrator runs \`${remedy}\``)
  }
  lines.push('in a container: start it with --privileged, or with --cap-add NET_ADMIN --cap-add SYS_ADMIN')
  return lines
}
