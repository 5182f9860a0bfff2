import type { Duration } from '@bufbuild/protobuf/wkt'

/** A protobuf duration as people write it: `2s`, `250ms`. */
export function milliseconds({ seconds, nanos }: Duration): string {
  const ms = Number(seconds) * 1000 + nanos / 1e6
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`
}
