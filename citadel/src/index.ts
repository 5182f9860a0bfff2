export type { IssuedCertificate, Refusal, SigningParams } from './certificates.ts'
export { Citadel, type CitadelOptions } from './citadel.ts'
export { type CallerIdentity, spiffeId } from './identity.ts'
export { TOKEN_AUDIENCE, TokenVerifier } from './tokens.ts'
