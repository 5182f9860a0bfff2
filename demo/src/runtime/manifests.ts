import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Deployment, type MeshResource, type Namespace, parseYaml } from '@seine/api'
import type { Problem } from '@seine/kit'

/** What a folder of manifests describes. */
export interface Manifests {
  readonly resources: readonly MeshResource[]
  readonly problems: readonly Problem[]
}

/** Reads every `.yaml`, `.yml` and `.json` file of a folder and its subfolders, in the order of their names. */
export async function readManifests(folder: string): Promise<Manifests> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  const files = entries
    .filter(entry => entry.isFile() && /\.(ya?ml|json)$/.test(entry.name))
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
  const parsed = await Promise.all(files.map(async file => parseYaml(await readFile(file, 'utf8'), file)))
  return { resources: parsed.flatMap(one => one.resources), problems: parsed.flatMap(one => one.problems) }
}

/** The deployments among resources. */
export function deploymentsOf(resources: readonly MeshResource[]): readonly Deployment[] {
  return resources.filter(resource => resource.kind === 'Deployment')
}

/** The namespaces' labels by namespace name. */
export function namespaceLabels(
  resources: readonly MeshResource[],
): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const namespaces: readonly Namespace[] = resources.filter(resource => resource.kind === 'Namespace')
  return new Map(namespaces.map(one => [one.metadata.name, one.metadata.labels]))
}
