import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { type CaptureOptions, captureRules } from './capture-rules.ts'
import { type InjectOptions, injectPod } from './inject-pod.ts'

const PLAIN: CaptureOptions = {
  proxyUid: 1337,
  includeInboundPorts: '*',
  excludeInboundPorts: [],
  includeOutboundPorts: [],
  excludeOutboundPorts: [],
  includeOutboundIpRanges: '*',
  excludeOutboundIpRanges: [],
  excludeInterfaces: [],
  captureDns: true,
}
const OPTIONS: InjectOptions = {
  controlPlane: 'seined:15012',
  otlp: 'seined:4317',
  trustDomain: 'cluster.local',
  clusterId: 'Kubernetes',
  image: 'seine/proxy',
  captureDns: true,
}
const EVERYTHING: CaptureOptions = {
  ...PLAIN,
  includeInboundPorts: [8080, 8443],
  excludeInboundPorts: [9901],
  includeOutboundPorts: [5432],
  excludeOutboundPorts: [25, 587],
  includeOutboundIpRanges: ['10.0.0.0/8', '192.0.2.7'],
  excludeOutboundIpRanges: ['10.1.0.0/16'],
  excludeInterfaces: ['net1'],
}

/** The rules alone, without the table's frame. */
function rules(changes: Partial<CaptureOptions> = {}): string[] {
  return captureRules({ ...PLAIN, ...changes })
    .split('\n')
    .filter(line => line.startsWith('-A'))
}

describe('captureRules', () => {
  it('is this for a pod without wishes', () => {
    expect(captureRules(PLAIN)).toBe(`*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:ISTIO_INBOUND - [0:0]
:ISTIO_IN_REDIRECT - [0:0]
:ISTIO_OUTPUT - [0:0]
:ISTIO_REDIRECT - [0:0]
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A OUTPUT -p udp --dport 53 -m owner ! --uid-owner 1337 -j REDIRECT --to-ports 15053
-A OUTPUT -p tcp -j ISTIO_OUTPUT
-A ISTIO_INBOUND -p tcp --dport 15020 -j RETURN
-A ISTIO_INBOUND -p tcp --dport 15021 -j RETURN
-A ISTIO_INBOUND -p tcp --dport 15090 -j RETURN
-A ISTIO_INBOUND -p tcp --dport 15000 -j RETURN
-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT
-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN
-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m owner --uid-owner 1337 -m multiport ! --dports 15020,15021,15090,15000,53 -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -p tcp --dport 53 -j REDIRECT --to-ports 15053
-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN
-A ISTIO_OUTPUT -j ISTIO_REDIRECT
COMMIT
`)
  })

  it('captures the given inbound ports alone, never the sidecar’s own and the excluded', () => {
    expect(
      rules({ includeInboundPorts: [8080, 15020], excludeInboundPorts: [9901] }).filter(line =>
        line.startsWith('-A ISTIO_INBOUND'),
      ),
    ).toEqual([
      '-A ISTIO_INBOUND -p tcp --dport 15020 -j RETURN',
      '-A ISTIO_INBOUND -p tcp --dport 15021 -j RETURN',
      '-A ISTIO_INBOUND -p tcp --dport 15090 -j RETURN',
      '-A ISTIO_INBOUND -p tcp --dport 15000 -j RETURN',
      '-A ISTIO_INBOUND -p tcp --dport 9901 -j RETURN',
      '-A ISTIO_INBOUND -p tcp --dport 8080 -j ISTIO_IN_REDIRECT',
      '-A ISTIO_INBOUND -p tcp --dport 15020 -j ISTIO_IN_REDIRECT',
    ])
    expect(rules({ includeInboundPorts: [] })).not.toContain('-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT')
  })

  it('leaves excluded destinations alone before it captures others', () => {
    expect(rules(EVERYTHING).slice(-7)).toEqual([
      '-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN',
      '-A ISTIO_OUTPUT -p tcp --dport 25 -j RETURN',
      '-A ISTIO_OUTPUT -p tcp --dport 587 -j RETURN',
      '-A ISTIO_OUTPUT -d 10.1.0.0/16 -j RETURN',
      '-A ISTIO_OUTPUT -p tcp --dport 5432 -j ISTIO_REDIRECT',
      '-A ISTIO_OUTPUT -d 10.0.0.0/8 -j ISTIO_REDIRECT',
      '-A ISTIO_OUTPUT -d 192.0.2.7 -j ISTIO_REDIRECT',
    ])
    expect(rules({ includeOutboundIpRanges: [] }).at(-1)).toBe('-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN')
  })

  it('leaves excluded interfaces alone before everything else', () => {
    expect(rules({ excludeInterfaces: ['net1'] }).slice(0, 2)).toEqual([
      '-A PREROUTING -i net1 -j RETURN',
      '-A OUTPUT -o net1 -j RETURN',
    ])
  })

  it('leaves look-ups alone where the agent does not answer them', () => {
    expect(rules({ captureDns: false }).filter(line => line.includes('15053'))).toEqual([])
  })

  it('are the same for IPv6, with its addresses, and with its share of the ranges', () => {
    const both = {
      includeOutboundIpRanges: ['10.0.0.0/8', 'fd00::/8'],
      excludeOutboundIpRanges: ['10.1.0.0/16', 'fd00:1::/32'],
    }
    const ipv6 = captureRules({ ...PLAIN, ...both }, 'ipv6').split('\n')
    const ipv4 = captureRules({ ...PLAIN, ...both }).split('\n')
    const translated: Record<string, string> = {
      '127.0.0.6/32': '::6/128',
      '127.0.0.1/32': '::1/128',
      '10.0.0.0/8': 'fd00::/8',
      '10.1.0.0/16': 'fd00:1::/32',
    }
    expect(ipv6).toEqual(ipv4.map(line => line.replace(/\d+(\.\d+){3}\/\d+/g, ip => translated[ip] ?? ip)))
    expect(ipv6.join()).not.toMatch(/\d+\.\d+\.\d+/)
  })

  it.for([
    ['an IPv6 address', 'ip -6 addr add fd00::2/64 dev lo', true],
    ['none but loopback', 'true', false],
  ] as const)('are set by the init container, in a pod with %s', ([_name, setUp, isIpv6], { skip }) => {
    const probe = inOwnNetwork(
      'iptables -t nat -L -n && ip6tables -t nat -L -n && ip link set lo up && ip -6 addr show dev lo | grep ::1',
      '',
    )
    skip(probe.status !== 0, `no network namespace with ip6tables can be made here: ${probe.stderr}`)
    const pod = {
      metadata: { name: 'a', namespace: 'b', labels: {}, annotations: {} },
      spec: { containers: [] },
    }
    const injected = injectPod(pod, OPTIONS)
    const [init] = injected.ok ? (injected.value.pod.spec.initContainers ?? []) : []
    const env = Object.fromEntries((init?.env ?? []).map(({ name, value }) => [name, value]))
    const script = `ip link set lo up; ${setUp}; (${init?.command?.[2]}) && echo "$(iptables-save -t nat | grep -c '^-A') $(ip6tables-save -t nat | grep -c '^-A') $(ip -6 addr show dev lo | grep -c ' ::6/128 ')"`
    const count = captureRules(PLAIN).match(/^-A/gm)?.length
    expect(inOwnNetwork(script, '', env)).toEqual({
      status: 0,
      stdout: isIpv6 ? `${count} ${count} 1\n` : `${count} 0 0\n`,
      stderr: '',
    })
  })

  it.for<[string, CaptureOptions]>([
    ['without wishes', PLAIN],
    ['with every wish', EVERYTHING],
  ])('loads into the kernel as it is written, %s, again and again', ([_name, options], { skip }) => {
    const probe = inOwnNetwork('iptables -t nat -L -n', '')
    skip(probe.status !== 0, `no network namespace with iptables can be made here: ${probe.stderr}`)
    const text = captureRules(options)
    const loaded = inOwnNetwork(
      'cat | iptables-restore --noflush && iptables-save -t nat | grep -c "^-A"',
      text,
    )
    expect(loaded).toEqual({ status: 0, stdout: `${rules(options).length}\n`, stderr: '' })
    // An init container that is run again finds its rules there.
    const again = inOwnNetwork(
      'rules=$(cat); for time in 1 2; do echo "$rules" | iptables-restore --noflush || exit 1; done; iptables-save -t nat | grep -c "^-A ISTIO"',
      text,
    )
    const own = rules(options).filter(line => line.startsWith('-A ISTIO')).length
    expect(again).toEqual({ status: 0, stdout: `${own}\n`, stderr: '' })
  })
})

/** Runs a script in a network namespace of its own, which ends with it. */
function inOwnNetwork(script: string, input: string, env: Readonly<Record<string, string | undefined>> = {}) {
  const flags = process.getuid?.() === 0 ? ['-n'] : ['-Urn']
  const { status, stdout, stderr } = spawnSync('unshare', [...flags, 'sh', '-c', script], {
    input,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  return { status, stdout, stderr }
}
