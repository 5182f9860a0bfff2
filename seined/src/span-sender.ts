import { errorMessage, type Logger } from '@seine/kit'
import type { ReceivedSpan } from '@seine/mixer-telemetry'

const CALL_TIMEOUT_MS = 5000
/** The hub takes 5,000 at once; so many are well below its limit in bytes too. */
const SPANS_PER_CALL = 1000
/** What waits while the hub is slow or away. */
const MAX_WAITING = 20_000

/** Sends spans to a hub in another process; without one they are dropped, which is logged once. */
export function spansTo(
  hubUrl: string | undefined,
  logger: Logger,
): (spans: readonly ReceivedSpan[]) => void {
  if (hubUrl) {
    const sender = new SpanSender(hubUrl, logger)
    return spans => sender.send(spans)
  }
  logger.info('no hub is given: spans are received and dropped')
  return () => {}
}

/**
 * Sends spans on, one call at a time. What the hub can't take is dropped, the oldest first: applications are never
 * held up by their traces.
 */
export class SpanSender {
  readonly #url: URL
  readonly #logger: Logger
  #waiting: ReceivedSpan[] = []
  #isSending = false
  /** Dropped since the hub last took some. */
  #dropped = 0

  constructor(hubUrl: string, logger: Logger) {
    this.#url = new URL('/api/v1/spans', hubUrl)
    this.#logger = logger
  }

  /** Returns at once. */
  send(spans: readonly ReceivedSpan[]): void {
    for (const span of spans) if (isWhole(span)) this.#waiting.push(span)
    const tooMany = this.#waiting.length - MAX_WAITING
    if (tooMany > 0) {
      this.#waiting = this.#waiting.slice(tooMany)
      this.#drop(tooMany, 'the hub is slower than spans come')
    }
    if (!this.#isSending) void this.#sendAll()
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, SPANS_PER_CALL)
      const reason = await this.#post(batch)
      if (reason !== undefined) this.#drop(batch.length, reason)
      else if (this.#dropped > 0) {
        this.#logger.info({ dropped: this.#dropped, hub: this.#url.origin }, 'the hub takes spans again')
        this.#dropped = 0
      }
    }
    this.#isSending = false
  }

  /** @returns why the hub did not take them, or undefined when it did. */
  async #post(spans: readonly ReceivedSpan[]): Promise<string | undefined> {
    try {
      const answer = await fetch(this.#url, {
        method: 'POST',
        body: JSON.stringify(spans),
        headers: { 'content-type': 'application/json' },
        signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      })
      const text = await answer.text()
      return answer.ok ? undefined : `it answered ${answer.status}: ${text.slice(0, 200)}`
    } catch (failure) {
      return errorMessage(failure)
    }
  }

  /** Told when it begins; how many they were is told when the hub takes spans again. */
  #drop(count: number, reason: string): void {
    if (this.#dropped === 0) this.#logger.warn({ reason, hub: this.#url.origin }, 'spans are dropped')
    this.#dropped += count
  }
}

/** A span without ids belongs to no trace, and the hub would refuse those that come with it. */
function isWhole({ traceId, spanId, durationUs }: ReceivedSpan): boolean {
  return traceId.length === 32 && spanId.length === 16 && durationUs >= 0
}
