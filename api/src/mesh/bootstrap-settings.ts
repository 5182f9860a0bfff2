/** What the injector has an agent write into Envoy's bootstrap, beside what always is in it. */
export interface BootstrapSettings {
  readonly stats?: StatisticsSettings
  readonly runtime?: Readonly<Record<string, string>>
}

/** Which statistics Envoy keeps, and how it counts them. */
export interface StatisticsSettings {
  /** Of the names of statistics to keep; `{pod_ip}` stands for each address of the workload. */
  readonly prefixes?: readonly string[]
  readonly suffixes?: readonly string[]
  readonly regexps?: readonly string[]
  /** The bounds of histograms, by the beginning of their names. */
  readonly buckets?: Readonly<Record<string, readonly number[]>>
  /** How often statistics go out, ms. */
  readonly flushMs?: number
  /** How often unused ones are dropped, ms; a multiple of the former. */
  readonly evictionMs?: number
}
