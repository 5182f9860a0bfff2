import { ok, type Result } from '@seine/kit'
import { POD_NETWORK } from './addresses.ts'
import { run } from './command.ts'

const { bridge } = POD_NETWORK
/** Pod to pod (where bridged packets pass the firewall, as with Docker) and pod to control plane. */
const RULES: readonly (readonly [chain: string, match: readonly string[]])[] = [
  ['FORWARD', ['-i', bridge, '-o', bridge]],
  ['INPUT', ['-i', bridge]],
]
const MARK = ['-m', 'comment', '--comment', 'seine-demo', '-j', 'ACCEPT'] as const

/**
 * Lets the pods through a host firewall that drops by default: Docker's FORWARD, ufw's INPUT. Adds only
 * what is needed, and returns the chains it added to.
 */
export async function openFirewall(): Promise<Result<readonly string[], string>> {
  const opened: string[] = []
  for (const [chain, match] of RULES) {
    const listed = await run('iptables', ['-w', '10', '-S', chain])
    if (!listed.ok) return listed
    if (!dropsByDefault(listed.value)) continue
    const added = await run('iptables', ['-w', '10', '-I', chain, '1', ...match, ...MARK])
    if (!added.ok) return added
    opened.push(chain)
  }
  return ok(opened)
}

/** Removes our rules, also those of a run that was killed. Returns what resisted. */
export async function closeFirewall(): Promise<readonly string[]> {
  const failures: string[] = []
  for (const [chain, match] of RULES) {
    // `-C` fails when there is no such rule, which is the end of the loop.
    while ((await run('iptables', ['-w', '10', '-C', chain, ...match, ...MARK])).ok) {
      const removed = await run('iptables', ['-w', '10', '-D', chain, ...match, ...MARK])
      if (removed.ok) continue
      failures.push(removed.error)
      break
    }
  }
  return failures
}

/** Whether a chain, as `iptables -S` lists it, drops or rejects what nothing accepts. */
export function dropsByDefault(listing: string): boolean {
  return /^-P \S+ DROP$/m.test(listing) || /^-A \S+ -j (DROP|REJECT.*)$/m.test(listing)
}
