import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { CapturedRules } from '@seine/injector'
import { ok, type Result } from '@seine/kit'
import { ipv6Of, POD_NETWORK } from './addresses.ts'
import { run } from './command.ts'
import { formatOwner, isAlive, type Owner, parseOwner } from './owner.ts'

/** Names of our network namespaces start with this; whose they are stands in their loopback's alias. */
const NAMESPACE_PREFIX = 'seine-'
const BRIDGE = POD_NETWORK.bridge

/** `seine-<pod>`. */
export function namespaceOf(pod: string): string {
  return `${NAMESPACE_PREFIX}${pod}`
}

/** The host's end of a pod's cable: interface names hold 15 characters. */
export function vethOf(pod: string): string {
  return `sv${createHash('sha256').update(pod).digest('hex').slice(0, 10)}`
}

/** Makes the bridge with the gateway's address. */
export function createBridge(owner: Owner): Promise<Result<string, string>> {
  const lines = [
    `link add ${BRIDGE} type bridge`,
    `link set ${BRIDGE} alias "${formatOwner(owner)}"`,
    `addr add ${POD_NETWORK.gateway}/${POD_NETWORK.bits} dev ${BRIDGE}`,
    `link set ${BRIDGE} up`,
  ]
  return run('ip', ['-batch', '-'], lines.join('\n'))
}

/** Makes a pod's network namespace and its cable to the bridge; with `isDual`, it has an IPv6 address beside the other. */
export async function createPodNetwork(
  pod: string,
  ip: string,
  owner: Owner,
  isDual = false,
): Promise<Result<string, string>> {
  const namespace = namespaceOf(pod)
  const veth = vethOf(pod)
  const steps: readonly (readonly [args: readonly string[], lines: readonly string[]])[] = [
    [[], [`netns add ${namespace}`]],
    [
      ['-n', namespace],
      [`link set lo alias "${formatOwner(owner)}"`, 'link set lo up'],
    ],
    [
      [],
      [
        `link add ${veth} type veth peer name eth0 netns ${namespace}`,
        `link set ${veth} master ${BRIDGE} up`,
      ],
    ],
    [
      ['-n', namespace],
      [
        `addr add ${ip}/${POD_NETWORK.bits} dev eth0`,
        // Nobody else has it, and it is of use at once.
        ...(isDual ? [`addr add ${ipv6Of(ip).ip}/${ipv6Of(ip).bits} dev eth0 nodad`] : []),
        'link set eth0 up',
        `route add default via ${POD_NETWORK.gateway}`,
        // What goes to a service's virtual address is captured, but only where there is a way to it.
        ...(isDual ? ['route add ::/0 dev eth0'] : []),
      ],
    ],
  ]
  for (const [args, lines] of steps) {
    const done = await run('ip', [...args, '-batch', '-'], lines.join('\n'))
    if (!done.ok) return done
  }
  return ok(namespace)
}

/** Loads capture rules into a pod's namespace; those of IPv6 as the injector's init container does. */
export async function loadRules(
  pod: string,
  { ipv4, ipv6 }: CapturedRules,
  isDual: boolean,
): Promise<Result<string, string>> {
  const inside = ['netns', 'exec', namespaceOf(pod)]
  const loaded = await run('ip', [...inside, 'iptables-restore', '--wait', '10'], ipv4)
  if (!loaded.ok || !isDual) return loaded
  const added = await run('ip', ['-n', namespaceOf(pod), 'addr', 'replace', '::6/128', 'dev', 'lo'])
  if (!added.ok) return added
  return run('ip', [...inside, 'ip6tables-restore', '--wait', '10'], ipv6)
}

/** Whether the machine has IPv6 for namespaces of its own. */
export function hasIpv6(): boolean {
  return existsSync('/proc/net/if_inet6')
}

/**
 * Removes a pod's cable and namespace. The kernel takes a namespace apart later, in its own time: the cable
 * is removed by itself so that it is gone when this resolves.
 */
export async function removePodNetwork(pod: string): Promise<readonly string[]> {
  // A pod that was interrupted while it was made may have no cable: only the namespace has to be there.
  await run('ip', ['link', 'del', vethOf(pod)])
  const removed = await run('ip', ['netns', 'del', namespaceOf(pod)])
  return removed.ok ? [] : [removed.error]
}

/** Removes the bridge. */
export function removeBridge(): Promise<Result<string, string>> {
  return run('ip', ['link', 'del', BRIDGE])
}

/** What earlier runs left behind, and what a live process holds. */
export interface Leftovers {
  readonly namespaces: readonly string[]
  readonly bridge: boolean
  /** A live process, or a stranger without a name, that holds the bridge. */
  readonly heldBy?: Owner | 'unknown'
}

/** Looks for namespaces and the bridge of runs that are dead. Those of live processes and of strangers are left out. */
export async function findLeftovers(): Promise<Leftovers> {
  const namespaces: string[] = []
  for (const name of await namespaceNames()) {
    const owner = parseOwner(await aliasOf('lo', ['-n', name]))
    if (owner.ok && !isAlive(owner.value)) namespaces.push(name)
  }
  const exists = await run('ip', ['link', 'show', 'dev', BRIDGE])
  if (!exists.ok) return { namespaces, bridge: false }
  const owner = parseOwner(await aliasOf(BRIDGE, []))
  if (!owner.ok) return { namespaces, bridge: false, heldBy: 'unknown' }
  return isAlive(owner.value)
    ? { namespaces, bridge: false, heldBy: owner.value }
    : { namespaces, bridge: true }
}

/** Removes what {@link findLeftovers} found. */
export async function removeLeftovers(found: Leftovers): Promise<readonly string[]> {
  const failures: string[] = []
  for (const name of found.namespaces) {
    failures.push(...(await removePodNetwork(name.slice(NAMESPACE_PREFIX.length))))
  }
  if (found.bridge) {
    const removed = await removeBridge()
    if (!removed.ok) failures.push(removed.error)
  }
  return failures
}

async function namespaceNames(): Promise<readonly string[]> {
  const listed = await run('ip', ['netns', 'list'])
  if (!listed.ok) return []
  return listed.value
    .split('\n')
    .map(line => line.split(' ')[0] ?? '')
    .filter(name => name.startsWith(NAMESPACE_PREFIX))
}

async function aliasOf(link: string, scope: readonly string[]): Promise<string | undefined> {
  const shown = await run('ip', [...scope, '-j', 'link', 'show', 'dev', link])
  if (!shown.ok) return undefined
  const links = JSON.parse(shown.value) as readonly { readonly ifalias?: string }[]
  return links[0]?.ifalias
}
