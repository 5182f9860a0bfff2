import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { Server, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js'
import {
  ExportTraceServiceRequestSchema,
  ExportTraceServiceResponseSchema,
} from '@seine/envoy/opentelemetry/proto/collector/trace/v1/trace_service'
import type { AnyValue, KeyValue } from '@seine/envoy/opentelemetry/proto/common/v1/common'
import {
  Span_SpanKind as Kind,
  type Span,
  Status_StatusCode as StatusCode,
} from '@seine/envoy/opentelemetry/proto/trace/v1/trace'

/** A span as it was received: ids in hexadecimal, times in microseconds since the Unix epoch. */
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  /** Empty for a root. */
  readonly parentSpanId: string
  readonly name: string
  readonly kind: 'client' | 'server' | 'internal'
  readonly startUs: number
  readonly durationUs: number
  /** `service.name` of what sent it. */
  readonly service: string
  readonly error: boolean
  readonly attributes: Readonly<Record<string, string>>
}

/** The largest export that is taken, in bytes. */
const MAX_EXPORT_BYTES = 4 << 20

/** Adds OTLP's trace service to a gRPC server; each export is decoded and handed on. */
export function addTraceReceiver(server: Server, onSpans: (spans: readonly ReceivedSpan[]) => void): void {
  const definition = {
    Export: {
      path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: Buffer) => value,
      requestDeserialize: (value: Buffer) => value,
      responseSerialize: (value: Buffer) => value,
      responseDeserialize: (value: Buffer) => value,
    },
  }
  const accepted = Buffer.from(
    toBinary(ExportTraceServiceResponseSchema, create(ExportTraceServiceResponseSchema)),
  )
  server.addService(definition, {
    Export: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
      if (call.request.length > MAX_EXPORT_BYTES)
        return reply({ code: 8, details: 'the export is larger than 4 MiB' })
      try {
        onSpans(decodeSpans(call.request))
      } catch (failure) {
        return reply({ code: 3, details: `the export can't be read: ${String(failure)}` })
      }
      return reply(null, accepted)
    },
  })
}

/** The spans of an `ExportTraceServiceRequest`. Throws when the bytes are no such message. */
export function decodeSpans(bytes: Uint8Array): ReceivedSpan[] {
  const request = fromBinary(ExportTraceServiceRequestSchema, bytes)
  return request.resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = attributesOf(resource?.attributes ?? [])['service.name'] ?? 'unknown'
    return scopeSpans.flatMap(({ spans }) => spans.map(span => received(span, service)))
  })
}

function received(span: Span, service: string): ReceivedSpan {
  const attributes = attributesOf(span.attributes)
  return {
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    parentSpanId: hex(span.parentSpanId),
    name: span.name,
    kind: span.kind === Kind.CLIENT ? 'client' : span.kind === Kind.SERVER ? 'server' : 'internal',
    startUs: Number(span.startTimeUnixNano / 1000n),
    durationUs: Number((span.endTimeUnixNano - span.startTimeUnixNano) / 1000n),
    service,
    error: span.status?.code === StatusCode.ERROR || attributes['error'] === 'true',
    attributes,
  }
}

function attributesOf(list: readonly KeyValue[]): Record<string, string> {
  return Object.fromEntries(list.map(({ key, value }) => [key, textOf(value)]))
}

function textOf(value: AnyValue | undefined): string {
  const inner = value?.value
  if (inner?.case === undefined) return ''
  return typeof inner.value === 'object' ? JSON.stringify(inner.value) : String(inner.value)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
