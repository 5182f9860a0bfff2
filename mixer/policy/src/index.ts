export { authorizationPlugin } from './authorization.ts'
