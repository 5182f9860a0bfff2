export { authorizationPlugin } from './authorization.ts'
export { supportsCondition } from './authorization-rules.ts'
