export { cachedEnvoyPath, type EnvoyBinary, envoyVersion, findEnvoy } from './find.ts'
export { ensureEnvoy, installEnvoy, type OnStep } from './install.ts'
export { ENVOY_VERSION } from './release.ts'
