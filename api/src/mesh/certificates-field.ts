import { z } from 'zod'

const PEM = /^(\s*-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+$/

/** One or more certificates in PEM, and nothing else. */
export const certificatesField = z.string().regex(PEM, 'must be certificates in PEM')
