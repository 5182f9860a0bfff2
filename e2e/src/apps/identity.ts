/** Who this program is, from its environment. */
export const self = {
  app: process.env['APP'] ?? 'peer',
  version: process.env['VERSION'] ?? 'v1',
  pod: process.env['POD_NAME'] ?? 'local',
} as const

/** `echo-v2/<pod>`: how TCP and gRPC answers begin. */
export const signature = `${self.app}-${self.version}/${self.pod}`
