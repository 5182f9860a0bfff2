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
export { injectionSettings } from './injection-settings.ts'
export { type MachineSetup, machineSetup } from './machine-setup.ts'
