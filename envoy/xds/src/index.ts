export * from './any.ts'
export * from './duration.ts'
export * from './encoded-resource.ts'
export * from './type-url.ts'
