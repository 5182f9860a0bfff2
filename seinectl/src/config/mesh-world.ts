import { err, ok, type Result } from '@seine/kit'
import { serverUrl } from '../hub/client.ts'
import { listObjects } from '../hub/objects.ts'
import { printWarning } from '../output/message.ts'
import type { Terminal } from '../terminal.ts'
import { type World, worldInForce, worldOfFiles } from '../world.ts'
import { ConfigStore } from './config-store.ts'
import { type FolderFlags, meshFolders } from './folders.ts'

/** A world, and whether it is all that a running mesh has. */
export type MeshWorld = World & { readonly isWhole: boolean }

/**
 * What the mesh that reads the folders has in force: last good versions, canaries, workloads that have registered. Where no
 * mesh reads them, or it does not say, what they hold. Of a mesh whose folders are elsewhere, lines are those of objects.
 */
export async function meshWorld(terminal: Terminal, flags: FolderFlags): Promise<Result<MeshWorld, string>> {
  const folders = await meshFolders(flags, terminal)
  if (!folders.ok) {
    // A mesh elsewhere, whose folders this machine does not have, says what it has all the same.
    const objects = await listObjects(serverUrl(flags.server, terminal))
    return objects.ok ? ok({ ...worldInForce(objects.value, []), isWhole: true }) : err(folders.error)
  }
  const { world, complete } = folders.value
  const store = await ConfigStore.open(world)
  if (complete) {
    const objects = await listObjects(serverUrl(flags.server, terminal))
    if (objects.ok) return ok({ ...worldInForce(objects.value, store.resources()), isWhole: true })
    printWarning(
      terminal,
      `what the mesh has in force is not known: ${objects.error}; the answer is of what its folders hold`,
    )
  }
  return ok({ ...worldOfFiles(store.resources(), store.problems, complete), isWhole: complete })
}
