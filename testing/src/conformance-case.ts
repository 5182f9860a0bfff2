import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

/** What a request is to come to. What is left out may be anything. */
export interface Expected {
  readonly status?: number
  /** The statuses that occur among several answers, each at least once. */
  readonly mixed?: readonly string[]
  /** False: the client gives up before there is an answer. */
  readonly answered?: false
  /** The connection ends, or can't be made, and there is no answer. */
  readonly refused?: true
  /** The backends that may answer; all of them do where there are enough requests. */
  readonly backends?: readonly string[]
  /** The share of the answers that comes from each backend, give or take what chance does once in a hundred thousand times. */
  readonly shares?: Readonly<Record<string, number>>
  /** One backend gives all answers, whichever. */
  readonly stuck?: boolean
  /** What the backend sees. A header, or a part of TLS, that is to be missing is null. */
  readonly seen?: {
    readonly method?: string
    readonly path?: string
    readonly headers?: Readonly<Record<string, string | null>>
    readonly http?: string
    readonly port?: number
    readonly tls?: { readonly sni?: string; readonly client?: string } | null
    readonly proxyProtocol?: string | null
    readonly tunnel?: string
  }
  /** Headers of the answer. One that is to be missing is null; one that begins with `~` is a pattern. */
  readonly headers?: Readonly<Record<string, string | null>>
  readonly body?: string
  /** How many requests each backend gets to see in all, tries and mirrors included. */
  readonly arrivals?: Readonly<Record<string, number>>
  /** The name in the certificate of whoever ended the client's TLS, as Node writes it: `DNS:www.example.com`. */
  readonly certificate?: string
  /** The version of TLS, and the cipher, as Node writes them. */
  readonly tlsVersion?: string
  readonly cipher?: string
  /** The answer takes so long at least, in ms. */
  readonly afterMs?: number
  /** How many connections the backends got the requests by. */
  readonly connections?: number
}

/** A request of a case. */
export interface CaseRequest {
  readonly url: string
  /** Whose Envoy takes it first: what the client sends out, or what reaches the server, or the gateway. */
  readonly through?: 'client' | 'server' | 'gateway'
  /** The address, and the port after a colon, or the Unix domain socket that is called; what the name of the URL stands for, unless told. */
  readonly to?: string
  /** The address that it comes from, one of loopback. */
  readonly from?: string
  /** Sent by mutual TLS, as sidecars do, in the name of an account: `namespace/account`. */
  readonly as?: string
  /** How TLS is spoken where the URL is one of https. */
  readonly tls?: {
    /** The name that is asked for; the URL's, unless told. Empty for none. */
    readonly sni?: string
    readonly alpn?: readonly string[]
    /** The name in the client's certificate: it has none unless told. */
    readonly client?: string
    readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3'
  }
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly times?: number
  /** How long the client waits between them, in ms. */
  readonly apartMs?: number
  /** The request says its URL in full, as an HTTP proxy is told it. */
  readonly proxied?: boolean
  /** Sent by HTTP/2. */
  readonly http2?: boolean
  /** How long the client waits; 10 s. */
  readonly giveUpMs?: number
  /** How many are under way together. */
  readonly together?: number
  /** The same request, until it comes to what is expected: for what is so after a time. */
  readonly eventually?: boolean
  readonly expect: Expected
}

/** Whose Envoy it is. */
export interface CaseProxy {
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly serviceAccount?: string
  readonly metadata?: Readonly<Record<string, string>>
}

/** An object of a mesh, read. */
export interface CaseObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> }
  readonly spec?: unknown
}

/** A case: configuration, and what requests through real Envoys are to come to with it. */
export interface ConformanceCase {
  readonly name: string
  readonly client: CaseProxy
  /** The sidecar of the workload `served`, where there is one. */
  readonly server?: CaseProxy
  readonly gateway?: CaseProxy
  /** The codes of the problems that there are with the objects: none unless told. */
  readonly problems?: readonly string[]
  readonly requests: readonly CaseRequest[]
  /** The mesh's objects. */
  readonly objects: readonly CaseObject[]
}

/** Reads the cases of a folder: of each file the first document says what is asked, the others are the mesh. */
export function readCases(folder: string): ConformanceCase[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.yaml'))
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
    .map(file => {
      const documents = parseAllDocuments(readFileSync(file, 'utf8'))
      for (const { errors } of documents) if (errors[0]) throw new Error(`${file}: ${errors[0].message}`)
      const [head, ...objects] = documents.map(one => one.toJS())
      const { client = {}, server, gateway, problems, requests } = head
      const name = file.slice(folder.length + 1, -'.yaml'.length)
      return { name, client, server, gateway, problems, requests, objects }
    })
}

/**
 * A part of a case with what is known only when it runs in the place of words: a text that is such a word alone
 * becomes what stands for it, and a word in a text, or in a key, is written out there.
 */
export async function filledIn<T>(
  value: T,
  meaning: (word: string) => Promise<string | number | undefined>,
): Promise<T> {
  const fill = async (inner: unknown): Promise<unknown> => {
    if (typeof inner === 'string') return filledText(inner, meaning)
    if (Array.isArray(inner)) return Promise.all(inner.map(fill))
    if (typeof inner !== 'object' || inner === null) return inner
    const entries = Object.entries(inner).map(
      async ([key, field]) => [String(await filledText(key, meaning)), await fill(field)] as const,
    )
    return Object.fromEntries(await Promise.all(entries))
  }
  return (await fill(value)) as T
}

async function filledText(
  text: string,
  meaning: (word: string) => Promise<string | number | undefined>,
): Promise<string | number> {
  const whole = /^\$\{([^}]+)\}$/.exec(text)
  if (whole) return (await meaning(whole[1] ?? '')) ?? text
  let filled = text
  for (const [word, name] of text.matchAll(/\$\{([^}]+)\}/g))
    filled = filled.replace(word, String((await meaning(name ?? '')) ?? word))
  return filled
}
