export { Agent, type AgentOptions } from './agent.ts'
export { bootstrap } from './bootstrap.ts'
export { type AgentSettings, readSettings } from './settings.ts'
