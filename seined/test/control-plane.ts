import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger, systemClock } from '@seine/kit'
import { Seined } from '../src/seined.ts'
import type { SeinedPorts, SeinedSettings } from '../src/settings.ts'

/** How many ports a control plane needs. */
export const SEINED_PORTS = 5

/** A control plane's ports, in any order. */
export function seinedPorts(ports: readonly number[]): SeinedPorts {
  const [xdsPlaintext = 0, tls = 0, http = 0, otlp = 0, hub = 0] = ports
  return { xdsPlaintext, tls, http, otlp, hub }
}

/** A place for a control plane: folders, and a platform whose tokens it trusts. */
export class TestPlace {
  readonly folder: string
  readonly #key: KeyObject

  private constructor(folder: string, key: KeyObject) {
    this.folder = folder
    this.#key = key
  }

  static async create(): Promise<TestPlace> {
    const folder = await mkdtemp(join(tmpdir(), 'seine-seined-'))
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const place = new TestPlace(folder, privateKey)
    await mkdir(join(folder, 'state', 'citadel'), { recursive: true })
    await mkdir(place.config)
    const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256' }]
    await writeFile(place.issuers, JSON.stringify({ keys }))
    return place
  }

  get config(): string {
    return join(this.folder, 'config')
  }

  get issuers(): string {
    return join(this.folder, 'state', 'citadel', 'token-issuers.json')
  }

  /** A token of a service account, as `namespace:name`. */
  token(serviceAccount: string): string {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const claims = {
      sub: `system:serviceaccount:${serviceAccount}`,
      aud: 'istio-ca',
      exp: Math.floor(Date.now() / 1000) + 300,
    }
    const signed = `${part({ alg: 'ES256', kid: 'k' })}.${part(claims)}`
    const signature = sign('sha256', Buffer.from(signed), { key: this.#key, dsaEncoding: 'ieee-p1363' })
    return `${signed}.${signature.toString('base64url')}`
  }

  settings(ports: SeinedPorts, changes: Partial<SeinedSettings> = {}): SeinedSettings {
    return {
      components: ['citadel', 'pilot', 'mixer', 'hub'],
      configFolders: [this.config],
      stateFolder: join(this.folder, 'state'),
      bind: '127.0.0.1',
      trustDomain: 'cluster.local',
      workloadTtlMs: 3_600_000,
      ports,
      citadel: undefined,
      pilotUrl: undefined,
      hubUrl: undefined,
      dashboardFolder: this.folder,
      ...changes,
    }
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true })
  }
}

/** A control plane, or a part of one, in this process. */
export function seinedWith(settings: SeinedSettings): Seined {
  return new Seined({ settings, clock: systemClock, logger: silentLogger })
}
