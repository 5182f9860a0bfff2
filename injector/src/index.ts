export { type CaptureOptions, captureRules } from './capture-rules.ts'
export {
  type CapturedRules,
  INIT_CONTAINER,
  type InjectablePod,
  type InjectedPod,
  type InjectOptions,
  injectPod,
  PROXY_CONTAINER,
  PROXY_UID,
  reasonToSkip,
} from './inject-pod.ts'
export { machineRules } from './machine-rules.ts'
