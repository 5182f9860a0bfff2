import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments, stringify } from 'yaml'

/** What a request is to come to. What is left out may be anything. */
export interface Expected {
  readonly status?: number
  /** The statuses that occur among several answers, each at least once. */
  readonly mixed?: readonly string[]
  /** False: the client gives up before there is an answer. */
  readonly answered?: false
  /** The backends that may answer; all of them do where there are enough requests. */
  readonly backends?: readonly string[]
  /** The share of the answers that comes from each backend, give or take a tenth. */
  readonly shares?: Readonly<Record<string, number>>
  /** One backend gives all answers, whichever. */
  readonly stuck?: boolean
  /** What the backend sees. A header that is to be missing is null. */
  readonly seen?: {
    readonly method?: string
    readonly path?: string
    readonly headers?: Readonly<Record<string, string | null>>
  }
  /** Headers of the answer. One that is to be missing is null. */
  readonly headers?: Readonly<Record<string, string | null>>
  readonly body?: string
  /** How many requests each backend gets to see in all, tries and mirrors included. */
  readonly arrivals?: Readonly<Record<string, number>>
}

/** A request of a case. */
export interface CaseRequest {
  readonly url: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly times?: number
  /** How long the client waits; 10 s. */
  readonly giveUpMs?: number
  /** How many are under way together. */
  readonly together?: number
  readonly expect: Expected
}

/** A case: configuration, and what requests through a real Envoy are to come to with it. */
export interface ConformanceCase {
  readonly name: string
  readonly client: {
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly requests: readonly CaseRequest[]
  /** The mesh's objects, as YAML. */
  readonly objects: string
  /** The same, read. */
  readonly parsed: readonly { readonly kind?: string; readonly spec?: unknown }[]
}

/** Reads the cases of a folder: of each file the first document says what is asked, the others are the mesh. */
export function readCases(folder: string): ConformanceCase[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.yaml'))
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
    .map(file => {
      const [head, ...objects] = parseAllDocuments(readFileSync(file, 'utf8')).map(one => one.toJS())
      return {
        name: file.slice(folder.length + 1, -'.yaml'.length),
        client: head.client ?? {},
        requests: head.requests,
        objects: objects.map(object => stringify(object)).join('---\n'),
        parsed: objects,
      }
    })
}
