/** What unit tests of the translation use. The mesh tests, which know components only from outside, do without. */
export * from './builders.ts'
export * from './envoy-static.ts'
export * from './envoy-validate.ts'
export * from './golden.ts'
export * from './golden-mesh.ts'
export * from './random-mesh.ts'
export * from './rendered.ts'
export * from './rendered-conflicts.ts'
