import type { Trace, TraceSpan, TraceSummary } from './api-types.ts'
import type { HubSpan } from './hub-inputs.ts'

const MAX_TRACES = 1000
const MAX_SPANS_PER_TRACE = 1000

/** The newest traces, whole. Spans of a trace arrive in any order and from many sidecars. */
export class TraceStore {
  readonly #traces = new Map<string, Map<string, HubSpan>>()

  add(spans: readonly HubSpan[]): void {
    for (const span of spans) {
      const trace = this.#traces.get(span.traceId) ?? new Map<string, HubSpan>()
      if (!this.#traces.has(span.traceId)) this.#traces.set(span.traceId, trace)
      // Both sides of a call share the span's id in some tracers; the kind tells them apart.
      if (trace.size < MAX_SPANS_PER_TRACE) trace.set(`${span.spanId}/${span.kind}`, span)
    }
    for (const id of this.#traces.keys()) {
      if (this.#traces.size <= MAX_TRACES) return
      this.#traces.delete(id)
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
  const children = new Map<string, HubSpan[]>()
  for (const span of spans)
    children.set(span.parentSpanId, [...(children.get(span.parentSpanId) ?? []), span])
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
