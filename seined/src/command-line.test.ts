import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { commandLine, type LogFormat } from './command-line.ts'
import type { SeinedSettings } from './settings.ts'

/** What a command line leads to: settings, or what is said against it. */
async function parsed(
  ...words: string[]
): Promise<{ settings?: SeinedSettings; format?: LogFormat; said: string }> {
  let settings: SeinedSettings | undefined
  let format: LogFormat | undefined
  let said = ''
  const program = commandLine(async (read, logFormat) => {
    settings = read
    format = logFormat
  })
  const all: readonly Command[] = [program, ...program.commands]
  for (const command of all)
    command.exitOverride().configureOutput({
      writeErr: text => {
        said += text
      },
      writeOut: text => {
        said += text
      },
    })
  await program.parseAsync(words, { from: 'user' }).catch((failure: Error) => {
    if (said === '') said = failure.message
  })
  return { ...(settings ? { settings } : {}), ...(format ? { format } : {}), said }
}

/** The first line of what is said against a command line. */
async function complaint(...words: string[]): Promise<string | undefined> {
  const { settings, said } = await parsed(...words)
  expect(settings).toBeUndefined()
  return said.split('\n')[0]
}

const APART = ['--citadel', 'c:15012', '--root-cert', 'r', '--token-file', 't', '--token-issuers', 'i']

describe('seined', () => {
  it("runs every component, on Istio's ports, unless it is told otherwise", async () => {
    const { settings } = await parsed('--config', 'a', '--config', 'b')
    expect(settings).toMatchObject({
      components: ['citadel', 'pilot', 'mixer', 'hub'],
      configFolders: ['a', 'b'],
      bind: '127.0.0.1',
      trustDomain: 'cluster.local',
      workloadTtlMs: 86_400_000,
      ports: { xdsPlaintext: 15010, tls: 15012, http: 15014, otlp: 4317, hub: 15080 },
      citadel: undefined,
      pilotUrl: undefined,
      hubUrl: undefined,
    })
    expect((await parsed('all', '--config', 'a')).settings?.components).toEqual(settings?.components)
  })

  it('runs one component, told where the others are', async () => {
    expect((await parsed('citadel', '--state', 's', '--workload-cert-ttl', '15m')).settings).toMatchObject({
      components: ['citadel'],
      stateFolder: 's',
      workloadTtlMs: 900_000,
    })
    expect((await parsed('pilot', ...APART, '--bind', '::1')).settings).toMatchObject({
      components: ['pilot'],
      bind: '::1',
      citadel: { address: 'c:15012', rootCertFile: 'r', tokenFile: 't', issuersFile: 'i' },
    })
    expect((await parsed('mixer', '--hub', 'http://127.0.0.1:15080')).settings).toMatchObject({
      components: ['mixer'],
      hubUrl: 'http://127.0.0.1:15080',
    })
    expect(await parsed('hub', '--pilot', 'http://127.0.0.1:15014', '--log-format', 'text')).toMatchObject({
      settings: { components: ['hub'], pilotUrl: 'http://127.0.0.1:15014' },
      format: 'text',
    })
  })

  it.each([
    [
      ['--tls-port', '0'],
      "error: option '--tls-port <port>' argument '0' is invalid. A port is a number from 1 to 65535.",
    ],
    [
      ['--xds-port', '65536'],
      "error: option '--xds-port <port>' argument '65536' is invalid. A port is a number from 1 to 65535.",
    ],
    [
      ['--http-port', 'http'],
      "error: option '--http-port <port>' argument 'http' is invalid. A port is a number from 1 to 65535.",
    ],
    [['--tls-port', '15010'], 'error: --xds-port and --tls-port are the same port: give each one of its own'],
    [
      ['--bind', 'localhost'],
      "error: option '--bind <address>' argument 'localhost' is invalid. It must be an IP address.",
    ],
    [
      ['--trust-domain', 'spiffe://x'],
      "error: option '--trust-domain <name>' argument 'spiffe://x' is invalid. It must be a name in lower case, such as cluster.local.",
    ],
    ...['0s', '15', '-1h', '1.5h', 'a day'].map((text): [string[], string] => [
      [`--workload-cert-ttl=${text}`],
      `error: option '--workload-cert-ttl <duration>' argument '${text}' is invalid. It must be a whole number with s, m or h, such as 24h.`,
    ]),
    [
      ['--log-format', 'xml'],
      "error: option '--log-format <format>' argument 'xml' is invalid. Allowed choices are json, text.",
    ],
    [['pilot'], "error: required option '--citadel <host:port>' not specified"],
    [['pilot', ...APART.slice(0, 4)], "error: required option '--token-file <file>' not specified"],
    [
      ['pilot', '--citadel', 'citadel', ...APART.slice(2)],
      "error: option '--citadel <host:port>' argument 'citadel' is invalid. It must be <host>:<port>, such as 10.0.0.1:15012.",
    ],
    [['hub'], "error: required option '--pilot <url>' not specified"],
    [
      ['hub', '--pilot', '127.0.0.1:15014'],
      "error: option '--pilot <url>' argument '127.0.0.1:15014' is invalid. It must be a URL, such as http://127.0.0.1:15014.",
    ],
    [
      ['mixer', '--hub', 'ftp://hub'],
      "error: option '--hub <url>' argument 'ftp://hub' is invalid. It must be a URL, such as http://127.0.0.1:15014.",
    ],
    // Options of other components are not taken and ignored.
    [['--citadel', 'c:15012'], "error: unknown option '--citadel'"],
    [['--pilot', 'http://p'], "error: unknown option '--pilot'"],
    [['citadel', '--config', 'x'], "error: unknown option '--config'"],
    [['mixer', '--hub-port', '1'], "error: unknown option '--hub-port'"],
    [['hub', '--pilot', 'http://p', '--tls-port', '1'], "error: unknown option '--tls-port'"],
    [['pilot', ...APART, '--workload-cert-ttl', '1h'], "error: unknown option '--workload-cert-ttl'"],
    [['mixer', '--state', 'x'], "error: unknown option '--state'"],
    [['--confg', 'x'], "error: unknown option '--confg'"],
  ])('refuses %j and says why', async (words, message) => {
    expect(await complaint(...words)).toBe(message)
  })
})
