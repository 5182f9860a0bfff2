import { mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorkloadCertificate } from './certificate-keeper.ts'

/** Istio's names for what it writes to `OUTPUT_CERTS`. */
const FILES = { key: 'key.pem', chain: 'cert-chain.pem', root: 'root-cert.pem' } as const
/** Leads to the folder that holds; the files lead through it. */
const CURRENT = '..current'
const GENERATION = '..generation-'

/** The path of one of the files. */
export function certificateFile(folder: string, which: keyof typeof FILES): string {
  return join(folder, FILES[which])
}

/**
 * Writes a certificate for gRPC libraries, which read files: the key, the chain and what it trusts, each readable by the
 * agent's own user alone. All three change in one step, so that a key never stands beside the chain of another.
 */
export async function writeCertificate(folder: string, certificate: WorkloadCertificate): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const generation = `${GENERATION}${certificate.serial}`
  const own = join(folder, generation)
  await rm(own, { recursive: true, force: true })
  await mkdir(own, { mode: 0o700 })
  const write = (name: string, text: string) => writeFile(join(own, name), text, { mode: 0o600 })
  await write(FILES.key, certificate.key.reveal())
  await write(FILES.chain, certificate.chain)
  await write(FILES.root, certificate.root)
  await replaceLink(generation, join(folder, CURRENT))
  for (const name of Object.values(FILES)) await replaceLink(join(CURRENT, name), join(folder, name))
  const outdated = (await readdir(folder)).filter(name => name.startsWith(GENERATION) && name !== generation)
  for (const name of outdated) await rm(join(folder, name), { recursive: true })
}

async function replaceLink(target: string, path: string): Promise<void> {
  const made = `${path}.new`
  await rm(made, { force: true })
  await symlink(target, made)
  await rename(made, path)
}
