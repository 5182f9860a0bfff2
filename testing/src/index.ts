export * from './eventually.ts'
export * from './free-ports.ts'
export * from './prometheus.ts'
