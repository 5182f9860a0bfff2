import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '@seine/testing'
import type { TestProject } from 'vitest/node'
import { parseAllDocuments } from 'yaml'
import { DemoProcess, ROOT } from './demo-process.ts'
import { Hub } from './hub.ts'
import { whyNoMesh } from './machine.ts'
import { Mesh } from './mesh.ts'

const APP = join(ROOT, 'e2e', 'app')
const START_LIMIT_MS = 120_000
/** How long another mesh on this machine may take to end. */
const TURN_LIMIT_MS = 900_000
/** Set to keep the mesh's folder, with its logs, after the run. */
const KEEP = 'SEINE_E2E_KEEP'

/** Starts the mesh that all tests share, and stops it when they are done. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const reason = await whyNoMesh()
  if (reason !== undefined) {
    console.log(`the mesh tests are skipped: ${reason}`)
    project.provide('mesh', undefined)
    return undefined
  }
  const demo = await DemoProcess.launch({ app: APP })
  console.log(`starting the mesh, once no other runs on this machine; its log: ${demo.place.logFile}`)
  let since = Date.now()
  try {
    await eventually(() => hasTurn(demo), { timeoutMs: TURN_LIMIT_MS })
    since = Date.now()
    await ready(demo)
  } catch (failure) {
    const output = await demo.output()
    await demo.stop()
    throw new Error(`the mesh did not start: ${failure}\n${output}`)
  }
  console.log(`the mesh is ready after ${((Date.now() - since) / 1000).toFixed(1)} s`)
  project.provide('mesh', demo.place)
  return () => end(demo)
}

/** The demo says nothing before it has the machine's lock. */
async function hasTurn(demo: DemoProcess): Promise<void> {
  if ((await demo.output()) === '') throw new Error('another mesh runs on this machine')
}

/** Resolves when all pods of the application are ready and their proxies have all they are to have. */
async function ready(demo: DemoProcess): Promise<void> {
  const expected = await deployments()
  let ended: string | undefined
  void demo.ended.then(how => {
    ended = how
  })
  await eventually(
    async () => {
      if (ended !== undefined) return
      const workloads = await new Hub().workloads()
      const waiting = expected.filter(name => !workloads.some(one => one.name === name && one.ready))
      if (waiting.length > 0) throw new Error(`not ready: ${waiting.join(', ')}`)
    },
    { timeoutMs: START_LIMIT_MS },
  )
  if (ended !== undefined) throw new Error(`the demo ended: ${ended}`)
  await (await Mesh.at(demo.place)).settled()
}

async function deployments(): Promise<readonly string[]> {
  const files = (await readdir(APP)).filter(name => name.endsWith('.yaml'))
  const texts = await Promise.all(files.map(name => readFile(join(APP, name), 'utf8')))
  return texts
    .flatMap(text => parseAllDocuments(text))
    .map(document => document.toJS() as { kind: string; metadata: { name: string } })
    .filter(({ kind }) => kind === 'Deployment')
    .map(({ metadata }) => metadata.name)
}

async function end(demo: DemoProcess): Promise<void> {
  const how = await demo.stop()
  if (how !== 'exit 0') throw new Error(`the demo did not stop in order: ${how}\n${await demo.output()}`)
  if (process.env[KEEP] === undefined) await demo.clear()
  else console.log(`kept: ${demo.place.folder}`)
}
