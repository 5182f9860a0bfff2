/** `0.4/s`, `12/s`, `1.2k/s`. */
export function rate(perSecond: number): string {
  if (perSecond === 0) return '0/s'
  if (perSecond < 10) return `${perSecond.toFixed(perSecond < 0.1 ? 2 : 1)}/s`
  return perSecond < 1000 ? `${Math.round(perSecond)}/s` : `${(perSecond / 1000).toFixed(1)}k/s`
}

/** A share as `0%`, `0.3%`, `12%`. Anything above nothing never reads as nothing. */
export function percent(share: number): string {
  if (share === 0) return '0%'
  const value = share * 100
  if (value < 0.1) return '<0.1%'
  return `${value < 10 ? value.toFixed(1) : Math.round(value)}%`
}

/** `0.8 ms`, `34 ms`, `1.2 s`; a dash where nothing was measured. */
export function latency(ms: number | undefined): string {
  if (ms === undefined) return '–'
  if (ms === 0) return '0 ms'
  if (ms < 1) return `${ms.toFixed(2)} ms`
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
  return `${(ms / 1000).toFixed(1)} s`
}

/** `0 B/s`, `340 B/s`, `1.2 kB/s`, `5.0 MB/s`. */
export function byteRate(perSecond: number): string {
  const [value, unit] =
    perSecond < 1000
      ? [Math.round(perSecond), 'B']
      : perSecond < 1e6
        ? [(perSecond / 1000).toFixed(1), 'kB']
        : [(perSecond / 1e6).toFixed(1), 'MB']
  return `${value} ${unit}/s`
}

/** `in 23 h`, `in 4 d`, `12 min ago`. */
export function relativeTime(at: number, now: number): string {
  const distance = Math.abs(at - now)
  const [amount, unit] =
    distance < 60_000
      ? [distance / 1000, 's']
      : distance < 3_600_000
        ? [distance / 60_000, 'min']
        : distance < 172_800_000
          ? [distance / 3_600_000, 'h']
          : [distance / 86_400_000, 'd']
  const text = `${Math.round(amount)} ${unit}`
  return at >= now ? `in ${text}` : `${text} ago`
}

/** `14:03:09`. */
export function clockTime(at: number): string {
  return new Date(at).toLocaleTimeString([], {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hour12: false,
  })
}

/** The last two steps of a path: enough to find the file by. */
export function shortPath(file: string): string {
  return file.split('/').slice(-2).join('/')
}

/** Where the page of a configuration object is. */
export function resourcePath(of: {
  readonly kind?: string | undefined
  readonly group?: string | undefined
  readonly namespace?: string | undefined
  readonly name?: string | undefined
  readonly canary?: boolean | undefined
}): string {
  const kind = of.group === undefined ? of.kind : `${of.kind}.${of.group}`
  const name = of.canary ? `${of.name}~canary` : of.name
  return ['/config', kind, of.namespace, name].filter(part => part).join('/')
}
