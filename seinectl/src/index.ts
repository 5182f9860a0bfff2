export { type RenderedConfig, type RenderOutput, render } from './render.ts'
export { run } from './run.ts'
export { ExitCode, type Terminal } from './terminal.ts'
