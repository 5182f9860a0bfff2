/** What a proxy has of one resource type. */
export interface TypeStatus {
  /** Resources it was sent or asked for. */
  readonly resources: number
  readonly state: 'SYNCED' | 'STALE' | 'NACKED' | 'NOT SENT'
  /** Time of the last acknowledgement, ms since the epoch. */
  readonly ackedAt?: number
  /** The version of the configuration that the last acknowledged response was made from, where the source has one. */
  readonly version?: string
  readonly nack?: { readonly at: number; readonly message: string; readonly resources: readonly string[] }
}

/** What a connected proxy has acknowledged. Types are named CDS, EDS, LDS, RDS, VHDS. */
export interface ProxyStatus {
  readonly id: string
  readonly protocol: 'delta' | 'state-of-the-world'
  readonly connectedAt: number
  readonly types: Readonly<Record<string, TypeStatus>>
}
