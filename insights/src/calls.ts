import type { ResponseClass } from './api-types.ts'

/** The labels of a sample of one of Istio's standard metrics. */
export type Labels = Readonly<Record<string, string>>

/** One kind of call: who called whom how, as one side reported it. */
export interface CallKey {
  readonly reporter: 'source' | 'destination'
  readonly sourceWorkload: string
  readonly sourceNamespace: string
  readonly sourceApp: string
  readonly destinationWorkload: string
  readonly destinationNamespace: string
  readonly destinationApp: string
  readonly destinationVersion: string
  readonly destinationService: string
  readonly protocol: 'http' | 'grpc' | 'tcp'
  /**
   * What the reporter measured. The receiving side knows by the filter chain that took the connection; the caller
   * by whether the other side showed a certificate, where a call reached one.
   */
  readonly security: 'mutual_tls' | 'none' | 'unknown'
}

/** What labels say where nothing is known. */
export const UNKNOWN = 'unknown'

/** The kind of call that a sample is about. */
export function callOf(labels: Labels): CallKey {
  const label = (name: string) => known(labels[name])
  const protocol = label('request_protocol')
  return {
    reporter: labels['reporter'] === 'source' ? 'source' : 'destination',
    sourceWorkload: label('source_workload'),
    sourceNamespace: label('source_workload_namespace'),
    sourceApp: label('source_canonical_service'),
    destinationWorkload: label('destination_workload'),
    destinationNamespace: label('destination_workload_namespace'),
    destinationApp: label('destination_canonical_service'),
    destinationVersion: label('destination_version'),
    destinationService: calledService(labels),
    protocol: protocol === 'tcp' || protocol === 'grpc' ? protocol : 'http',
    security: labels['reporter'] === 'source' ? seenByCaller(labels) : seenByReceiver(labels),
  }
}

/** Envoy's operators give a dash for what they don't know. */
function known(value: string | undefined): string {
  return value === undefined || value === '' || value === '-' ? UNKNOWN : value
}

/** A hostname; where no service was called, what Istio calls the way that the call took, such as PassthroughCluster. */
function calledService(labels: Labels): string {
  const hostname = known(labels['destination_service'])
  return hostname === UNKNOWN ? known(labels['destination_service_name']) : hostname
}

/** A text that is the same for equal calls only. */
export function callId(key: CallKey): string {
  return Object.values(key).join('\n')
}

function seenByReceiver(labels: Labels): CallKey['security'] {
  const policy = labels['connection_security_policy']
  return policy === 'mutual_tls' || policy === 'none' ? policy : UNKNOWN
}

function seenByCaller(labels: Labels): CallKey['security'] {
  if (known(labels['destination_principal']) !== UNKNOWN) return 'mutual_tls'
  return known(labels['destination_workload']) !== UNKNOWN && reached(labels) ? 'none' : UNKNOWN
}

/** Envoy's response flags of a request or connection. */
export function flagsOf(labels: Labels): string[] {
  const flags = labels['response_flags'] ?? '-'
  return flags === '-' || flags === '' ? [] : flags.split(',')
}

/** The class of the HTTP status that each gRPC status stands for (google.rpc.Code), by its number. */
const GRPC_CLASSES: readonly ResponseClass[] = [
  '2xx', // OK
  '4xx', // CANCELLED
  '5xx', // UNKNOWN
  '4xx', // INVALID_ARGUMENT
  '5xx', // DEADLINE_EXCEEDED
  '4xx', // NOT_FOUND
  '4xx', // ALREADY_EXISTS
  '4xx', // PERMISSION_DENIED
  '4xx', // RESOURCE_EXHAUSTED
  '4xx', // FAILED_PRECONDITION
  '4xx', // ABORTED
  '4xx', // OUT_OF_RANGE
  '5xx', // UNIMPLEMENTED
  '5xx', // INTERNAL
  '5xx', // UNAVAILABLE
  '5xx', // DATA_LOSS
  '4xx', // UNAUTHENTICATED
]

/** What a request came to. */
export function responseClass(labels: Labels): ResponseClass {
  const code = Number(labels['response_code'] ?? 0)
  const grpc = labels['grpc_response_status']
  if (code === 200 && grpc) return GRPC_CLASSES[Number(grpc)] ?? '5xx'
  if (!(code >= 100 && code < 600)) return 'none'
  return `${Math.floor(code / 100)}xx` as ResponseClass
}

/** Flags with which a connection ends as it should: hung up by the caller, idle for long, at its greatest age. */
const ORDINARY_END: ReadonlySet<string> = new Set(['DC', 'DR', 'DT', 'SI', 'DI'])
/** Flags of what never reached a destination. */
const NEVER_CONNECTED: ReadonlySet<string> = new Set([
  'UF',
  'UH',
  'UO',
  'NR',
  'NC',
  'URX',
  'DF',
  'UAEX',
  'RL',
  'OM',
])

/** Whether a request or connection came as far as a destination. */
export function reached(labels: Labels): boolean {
  return !flagsOf(labels).some(flag => NEVER_CONNECTED.has(flag))
}

/** Whether a TCP connection ended in a failure. */
export function isBroken(labels: Labels): boolean {
  return flagsOf(labels).some(flag => !ORDINARY_END.has(flag))
}
