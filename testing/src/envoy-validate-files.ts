import type { JsonValue } from '@bufbuild/protobuf'

/**
 * A self-signed certificate and its key, which nothing trusts: they stand in for the files that configuration
 * names and that are on a workload's disk, not on this one's.
 */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUT4qn8ZQmG1YXIImD1523jHSrpo8wCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIdmFsaWRhdGUwIBcNMjYxMTI0MDMzMDUyWhgPMjEyNjEwMzEw
MzMwNTJaMBMxETAPBgNVBAMMCHZhbGlkYXRlMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAETjoLmavHaVwfIePDQPJYWmy2DIh208m0uYulmrNFXWkoEOGdyJ0ChX0W
XAQVLvjJdNmPUQagr710MncmEwM0zqNTMFEwHQYDVR0OBBYEFMIj39LgNEVnygRA
G48GvLA+QowjMB8GA1UdIwQYMBaAFMIj39LgNEVnygRAG48GvLA+QowjMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgMmxaNAtJ32OMa1IPH0uaY5On
v5Ys4IOMldj/p3snsDkCIQCU+zs/f4mfWiJJ/iTBV0fhzB4PccP6enp7Ub45K1nG
1A==
-----END CERTIFICATE-----
`
const KEY = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIAeR16WEQN7+YTXzrCunMJ9uQmgEt+QHRgjaElA1QWDBoAoGCCqGSM49
AwEHoUQDQgAETjoLmavHaVwfIePDQPJYWmy2DIh208m0uYulmrNFXWkoEOGdyJ0C
hX0WXAQVLvjJdNmPUQagr710MncmEwM0zg==
-----END EC PRIVATE KEY-----
`

/** The configuration with what its files would hold in place of their names. Revocation lists are left out. */
export function withFileContents(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(withFileContents)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([key]) => key !== 'crl')
  return Object.fromEntries(
    entries.map(([key, inner]) => {
      if (key === 'privateKey') return [key, { inlineString: KEY }]
      if (key === 'trustedCa' || key === 'certificateChain') return [key, { inlineString: CERTIFICATE }]
      return [key, withFileContents(inner)]
    }),
  )
}
