import type { Trace, TraceSpan, TraceSummary } from './api-types.ts'
import type { HubSpan } from './hub-inputs.ts'
import { groupBy, obtain } from './maps.ts'

/** What the store may hold. */
export interface TraceLimits {
  readonly traces: number
  /** Of all traces together. */
  readonly spans: number
  readonly spansPerTrace: number
}

const LIMITS: TraceLimits = { traces: 1000, spans: 50_000, spansPerTrace: 1000 }
/** What is kept of one span: headers that applications send end up in names and attributes. */
const MAX_ATTRIBUTES = 64
const MAX_TEXT = 1024

/** The newest traces, whole. Spans of a trace arrive in any order and from many sidecars. */
export class TraceStore {
  readonly #limits: TraceLimits
  readonly #traces = new Map<string, Map<string, HubSpan>>()
  #spans = 0

  constructor(limits: TraceLimits = LIMITS) {
    this.#limits = limits
  }

  /** Takes spans in; the oldest traces make room. */
  add(spans: readonly HubSpan[]): void {
    const { traces: maxTraces, spans: maxSpans, spansPerTrace } = this.#limits
    for (const span of spans) {
      const trace = obtain(this.#traces, span.traceId, () => new Map<string, HubSpan>())
      if (trace.size >= spansPerTrace) continue
      const before = trace.size
      // Both sides of a call share the span's id in some tracers; the kind tells them apart.
      trace.set(`${span.spanId}/${span.kind}`, clipped(span))
      this.#spans += trace.size - before
    }
    for (const [id, trace] of this.#traces) {
      if (this.#traces.size <= maxTraces && this.#spans <= maxSpans) return
      this.#traces.delete(id)
      this.#spans -= trace.size
    }
  }

  /** The newest first. */
  list(limit: number): TraceSummary[] {
    const newest = [...this.#traces.entries()]
      .slice(-limit * 2)
      .map(([id, spans]) => summary(id, [...spans.values()]))
    return newest.sort((a, b) => b.startedAt - a.startedAt).slice(0, limit)
  }

  get(id: string): Trace | undefined {
    const spans = this.#traces.get(id)
    if (!spans) return undefined
    const all = [...spans.values()]
    return { ...summary(id, all), spanList: tree(all) }
  }
}

function clipped(span: HubSpan): HubSpan {
  const attributes = Object.entries(span.attributes).slice(0, MAX_ATTRIBUTES)
  return {
    ...span,
    name: short(span.name),
    service: short(span.service),
    attributes: Object.fromEntries(attributes.map(([key, value]) => [short(key), short(value)])),
    // The clocks of a span's two ends may differ.
    durationUs: Math.max(0, span.durationUs),
  }
}

/** A copy of what it keeps: a part of a string would keep the whole. */
function short(text: string): string {
  return text.length <= MAX_TEXT ? text : Buffer.from(text.slice(0, MAX_TEXT)).toString()
}

function summary(id: string, spans: readonly HubSpan[]): TraceSummary {
  const start = Math.min(...spans.map(({ startUs }) => startUs))
  const end = Math.max(...spans.map(({ startUs, durationUs }) => startUs + durationUs))
  const root = rootsOf(spans)[0]
  return {
    id,
    root: root?.service ?? 'unknown',
    operation: root ? operationOf(root) : '',
    startedAt: start / 1000,
    durationMs: (end - start) / 1000,
    spans: spans.length,
    services: [...new Set(spans.map(({ service }) => service))].sort(),
    error: spans.some(({ error }) => error),
  }
}

/** Spans whose parent is not among them, the earliest first. */
function rootsOf(spans: readonly HubSpan[]): HubSpan[] {
  const ids = new Set(spans.map(({ spanId }) => spanId))
  return spans.filter(({ parentSpanId }) => !ids.has(parentSpanId)).sort((a, b) => a.startUs - b.startUs)
}

function operationOf(span: HubSpan): string {
  const { 'http.method': method, 'http.url': url } = span.attributes
  if (!method || !url) return span.name
  const path = url.replace(/^\w+:\/\/[^/]*/, '')
  return `${method} ${path || '/'}`
}

/** The spans depth first, children by their start. A span that claims to be its own ancestor is shown once. */
function tree(spans: readonly HubSpan[]): TraceSpan[] {
  const origin = Math.min(...spans.map(({ startUs }) => startUs))
  const children = groupBy(spans, ({ parentSpanId }) => parentSpanId)
  const shown = new Set<HubSpan>()
  const result: TraceSpan[] = []
  const visit = (span: HubSpan, depth: number) => {
    if (shown.has(span)) return
    shown.add(span)
    result.push({
      id: span.spanId,
      ...(span.parentSpanId === '' ? {} : { parentId: span.parentSpanId }),
      depth,
      service: span.service,
      name: operationOf(span),
      kind: span.kind,
      startMs: (span.startUs - origin) / 1000,
      durationMs: span.durationUs / 1000,
      error: span.error,
      attributes: span.attributes,
    })
    for (const child of (children.get(span.spanId) ?? []).sort((a, b) => a.startUs - b.startUs))
      visit(child, depth + 1)
  }
  for (const root of rootsOf(spans)) visit(root, 0)
  for (const span of spans) visit(span, 0)
  return result
}
