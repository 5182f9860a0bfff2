import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TypeUrl } from '@seine/envoy'
import { CHANGE_KINDS, type Change, changesOf, type MeasuredKind, type Scene } from './changes.ts'
import { ControlPlane } from './control-plane.ts'
import { quantile, round } from './figures.ts'
import { Fleet, pause, type Receipt } from './fleet.ts'
import { MeshFolder, ROUTED_SERVICES } from './mesh-folder.ts'
import type { Plan, Settings } from './settings.ts'
import { NAME_TABLE_TYPE, type ProxyIdentity } from './simulated-proxy.ts'
import { measureStorm, type StormFigures } from './storm.ts'

/** Figures of the first configuration of all sidecars. */
export interface FirstConfiguration {
  /** From the first connection until the last sidecar was configured. */
  readonly lastMs: number
  readonly cpuS: number
  readonly sentMb: number
}

/** Figures of all changes of one kind. Latencies are from the change to a sidecar's receipt. */
export interface ChangeFigures {
  readonly rounds: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** The worst change's last sidecar. */
  readonly lastMs: number
  readonly cpuMsPerChange: number
  readonly sentKbPerChange: number
  /** Receipts that did not happen in time. */
  readonly missed: number
}

type Size = Omit<Plan, 'kinds'>

/** Figures of one size of mesh. */
export interface SizeFigures extends Omit<Plan, 'kinds'> {
  readonly first: FirstConfiguration
  readonly changes: Readonly<Partial<Record<MeasuredKind, ChangeFigures>>>
  /** With the control plane's peak memory up to its end. */
  readonly storm?: StormFigures & { readonly peakRssMb: number }
  /** The control plane's peak memory up to the last of the lone changes. */
  readonly peakRssMb: number
}

const FIRST_WITHIN_MS = 300_000
const CHANGE_WITHIN_MS = 15_000
/** After a change, for acknowledgements and the garbage collector: what they cost is part of the change. */
const SETTLE_MS = 300

/** Measures one size of mesh, with a control plane of its own. */
export async function measure(
  { kinds, ...size }: Plan,
  settings: Settings,
  progress: (text: string) => void,
): Promise<SizeFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'seine-bench-'))
  try {
    const mesh = new MeshFolder(join(folder, 'config'), { ...settings, services: size.services })
    await mesh.seed()
    if (size.sidecars === 'own-sidecar') await seedSidecars(mesh, size, settings)
    progress('starting the control plane')
    const server = await ControlPlane.start(mesh.path, join(folder, 'state'), settings.profile)
    const fleet = new Fleet()
    try {
      progress('first configuration')
      const first = await firstConfiguration(server, fleet, size, mesh)
      const changes: Partial<Record<MeasuredKind, ChangeFigures>> = {}
      const scene: Scene = { ...size, mesh, fleet }
      for (const kind of CHANGE_KINDS.filter(one => kinds.includes(one))) {
        progress(`${settings.warmUp} + ${settings.changes} × ${kind}`)
        const rounds = Array.from({ length: settings.warmUp + settings.changes }, (_, round) =>
          changesOf(kind, round, scene),
        )
        await figuresOf(server, fleet, rounds.slice(0, settings.warmUp))
        Object.assign(changes, await figuresOf(server, fleet, rounds.slice(settings.warmUp)))
      }
      const peakRssMb = await peakOf(server)
      if (!kinds.includes('storm')) return { ...size, first, changes, peakRssMb }
      progress(`${settings.storm.perSecond} changes/s`)
      const storm = await measureStorm(server, fleet, mesh, size.services, settings.storm)
      return { ...size, first, changes, peakRssMb, storm: { ...storm, peakRssMb: await peakOf(server) } }
    } finally {
      fleet.close()
      await server.close()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function peakOf(server: ControlPlane): Promise<number> {
  return Math.round((await server.usage()).peakRssMb)
}

async function firstConfiguration(
  server: ControlPlane,
  fleet: Fleet,
  size: Size,
  mesh: MeshFolder,
): Promise<FirstConfiguration> {
  const before = await server.usage()
  const called = calledServices(size)
  fleet.connect(server.address, identities(size, mesh))
  const counts = new Map<string, number>([
    [TypeUrl.cluster, called],
    [TypeUrl.endpoint, called],
    [TypeUrl.virtualHost, called],
    [NAME_TABLE_TYPE, size.sidecars === 'own-sidecar' ? called : size.services],
  ])
  const { latenciesMs, missing } = await fleet.configured(counts, FIRST_WITHIN_MS)
  if (missing > 0)
    throw new Error(`${missing} sidecars were not configured within ${FIRST_WITHIN_MS / 1000} s`)
  await pause(SETTLE_MS)
  const after = await server.usage()
  return {
    lastMs: round(Math.max(...latenciesMs)),
    cpuS: round((after.cpuMs - before.cpuMs) / 1000, 2),
    sentMb: round(fleet.bytes / 1e6, 1),
  }
}

/** Each sidecar imports what its workload calls, and the services that are to come. */
async function seedSidecars(
  mesh: MeshFolder,
  size: Size,
  { changes, warmUp }: Pick<Settings, 'changes' | 'warmUp'>,
): Promise<void> {
  const called = Array.from({ length: calledServices(size) }, (_, index) => mesh.service(index))
  const coming = Array.from({ length: changes + warmUp }, (_, round) => mesh.service(size.services + round))
  for (const client of identities(size, mesh)) await mesh.addClient(client, [...called, ...coming])
}

interface Sample {
  readonly receipt: Receipt
  readonly cpuMs: number
  readonly sentBytes: number
}

/** Makes the changes one after the other, each when the one before has settled. */
async function figuresOf(
  server: ControlPlane,
  fleet: Fleet,
  rounds: readonly (readonly Change[])[],
): Promise<Partial<Record<MeasuredKind, ChangeFigures>>> {
  const samples = new Map<MeasuredKind, Sample[]>()
  for (const change of rounds.flat()) {
    const bytes = fleet.bytes
    const { cpuMs } = await server.usage()
    const receipt = await fleet.receive(change.make, change.expected, CHANGE_WITHIN_MS)
    await pause(SETTLE_MS)
    const sample = { receipt, cpuMs: (await server.usage()).cpuMs - cpuMs, sentBytes: fleet.bytes - bytes }
    samples.set(change.kind, [...(samples.get(change.kind) ?? []), sample])
  }
  return Object.fromEntries([...samples].map(([kind, all]) => [kind, summarise(all)]))
}

function summarise(samples: readonly Sample[]): ChangeFigures {
  const latencies = samples.flatMap(({ receipt }) => receipt.latenciesMs)
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, one) => sum + of(one), 0) / samples.length
  return {
    rounds: samples.length,
    p50Ms: round(quantile(latencies, 0.5), 1),
    p99Ms: round(quantile(latencies, 0.99), 1),
    lastMs: round(Math.max(...latencies), 1),
    cpuMsPerChange: round(
      mean(({ cpuMs }) => cpuMs),
      1,
    ),
    sentKbPerChange: round(mean(({ sentBytes }) => sentBytes) / 1024),
    missed: samples.reduce((sum, { receipt }) => sum + receipt.missing, 0),
  }
}

/** How many services a sidecar has to know. On demand it is those that change, so that each change concerns everybody. */
function calledServices({ services, sidecars }: Size): number {
  return sidecars === 'everything' ? services : Math.min(ROUTED_SERVICES, services)
}

function identities(size: Size, mesh: MeshFolder): ProxyIdentity[] {
  const called = Array.from({ length: calledServices(size) }, (_, index) => mesh.service(index))
  const calls =
    size.sidecars === 'everything' ? undefined : called.map(({ name, namespace }) => `${name}.${namespace}`)
  return Array.from({ length: size.proxies }, (_, index) => ({
    name: `client-${index}`,
    namespace: mesh.namespaceOf(index),
    ip: `10.200.${index >> 8}.${index & 255}`,
    calls,
  }))
}
