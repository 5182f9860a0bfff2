import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { Result } from '@seine/kit'
import { namespaceOf } from './network.ts'
import { type Child, launch } from './process.ts'

/**
 * Paths inside a pod. The pod's mount namespace has a tmpfs at `/mnt`, so that programs which run
 * without root reach what lies in root's folders, and nothing is written outside the state folder.
 */
export const INSIDE = {
  root: '/mnt/seine',
  bin: '/mnt/bin',
  envoy: '/mnt/bin/envoy',
  /** Envoy that marks its connections (SO_MARK): capture rules know it by that where there is one user id only. */
  markedEnvoy: '/mnt/bin/envoy-marked',
  pod: '/mnt/pod',
  proxyRun: '/mnt/pod/proxy',
  token: '/mnt/pod/secrets/token',
  rootCert: '/mnt/pod/secrets/root-cert.pem',
  proxyResolv: '/mnt/resolv-proxy.conf',
} as const

/** The name server in the containers' resolv.conf. Any address does: capture turns port 53 to the agent. */
const NAME_SERVER = '10.96.0.10'

/** Where a pod's parts lie on the host. */
export interface SandboxOptions {
  readonly pod: string
  readonly namespace: string
  /** The checkout: what an image's file system would hold. */
  readonly root: string
  readonly node: string
  readonly envoy: string
  /** `<state>/run/<pod>`. */
  readonly folder: string
  /** The name server of the proxy itself, whose queries are not captured. */
  readonly upstreamNameServer: string
}

const TELL_PID = 'read -r pid rest </proc/self/stat; echo "$pid" >&3; exec 3>&-'

const SETUP = `set -e
root=$1 node=$2 envoy=$3 folder=$4 search=$5 server=$6 upstream=$7
mount -t tmpfs -o mode=755,size=16m seine /mnt
mkdir /mnt/seine /mnt/bin /mnt/pod
touch /mnt/bin/node /mnt/bin/envoy
mount --bind "$root" /mnt/seine
# Read-only is a courtesy: inside a user namespace the kernel may refuse to change a mount's flags.
mount -o remount,bind,ro /mnt/seine || echo "the checkout stays writable"
mount --bind "$folder" /mnt/pod
mount --bind "$node" /mnt/bin/node
mount --bind "$envoy" /mnt/bin/envoy
cat >/mnt/bin/envoy-marked <<'END'
#!/bin/sh
case $* in *--version*) exec /mnt/bin/envoy "$@" ;; esac
exec /mnt/bin/envoy "$@" --config-yaml '{"cluster_manager":{"upstream_bind_config":{"socket_options":[{"description":"mark","level":1,"name":36,"int_value":1337,"state":"STATE_PREBIND"}]}}}'
END
chmod 755 /mnt/bin/envoy-marked
printf 'nameserver %s\\nsearch %s\\noptions ndots:5 timeout:2\\n' "$server" "$search" >/mnt/resolv.conf
printf 'nameserver %s\\noptions timeout:1 attempts:1\\n' "$upstream" >/mnt/resolv-proxy.conf
target=$(readlink -f /etc/resolv.conf)
mount -t tmpfs -o mode=755,size=1m seine /run
case $target in /run/*) mkdir -p "\${target%/*}"; touch "$target" ;; esac
mount --bind /mnt/resolv.conf "$target"
${TELL_PID}
exec sleep infinity`

/** Starts what holds a pod's namespaces open: like Kubernetes' pause container. */
export async function startSandbox(options: SandboxOptions): Promise<Result<Child, string>> {
  const { namespace } = options
  const search = `${namespace}.svc.cluster.local svc.cluster.local cluster.local`
  const log = openSync(join(options.folder, 'sandbox.log'), 'w')
  const { root, node, envoy, folder, upstreamNameServer } = options
  const started = await launch({
    command: [
      'nsenter',
      `--net=/run/netns/${namespaceOf(options.pod)}`,
      '--',
      'unshare',
      '--mount',
      '--',
      'sh',
      '-c',
      SETUP,
      'seine-sandbox',
      root,
      node,
      envoy,
      folder,
      search,
      NAME_SERVER,
      upstreamNameServer,
    ],
    env: {},
    output: log,
  })
  closeSync(log)
  return started
}

/** A program to run inside a pod. */
export interface ContainerLaunch {
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly workingDir: string
  readonly uid: number
  /** Open file descriptor of its log. */
  readonly log: number
  /** The proxy looks names up at its own upstream server. */
  readonly isProxy: boolean
  /** Whether user ids can be changed: not in a user namespace that has only one. */
  readonly changeUser: boolean
}

const AS_USER =
  'exec setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all -- setpriv --pdeathsig KILL -- "$@"'
const AS_SELF = 'exec setpriv --no-new-privs --pdeathsig KILL -- "$@"'

/**
 * Starts a program in a sandbox, as the first process of a pid namespace of its own: when it ends, so
 * does everything it started.
 */
export function startContainer(sandbox: Child, what: ContainerLaunch): Promise<Result<Child, string>> {
  const script = [
    'set -e',
    what.isProxy ? `mount --bind ${INSIDE.proxyResolv} "$(readlink -f /etc/resolv.conf)"` : '',
    'cd "$1"; uid=$2; shift 2',
    TELL_PID,
    what.changeUser ? AS_USER : AS_SELF,
  ].join('\n')
  return launch({
    command: [
      'nsenter',
      '--target',
      String(sandbox.pid),
      '--mount',
      '--net',
      '--',
      'unshare',
      '--pid',
      '--fork',
      '--kill-child=KILL',
      ...(what.isProxy ? ['--mount'] : []),
      '--',
      'sh',
      '-c',
      script,
      'seine-container',
      what.workingDir,
      String(what.uid),
      ...what.command,
    ],
    env: what.env,
    output: what.log,
  })
}
