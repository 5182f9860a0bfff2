export * from './eventually.ts'
export * from './prometheus.ts'
