import { z } from 'zod'
import { isIpAddress } from '../ip.ts'
import type { Resource } from '../resource.ts'
import type { FieldPath, Findings, Rules } from '../rules.ts'
import { hostnameField, sectionNameField, unique } from './common.ts'
import { backendRefField, routeFields } from './route-fields.ts'

const rules = z
  .array(
    z.strictObject({
      name: sectionNameField.optional(),
      backendRefs: z.array(backendRefField).min(1, 'needs at least one backend').max(16),
    }),
  )
  .min(1, 'needs at least one rule')
  .max(16)
  .superRefine(
    unique(
      ({ name }) => name,
      ({ name }) => `there is already a rule named ${name}`,
      ['name'],
    ),
  )

/** Gateway API `TCPRoute`: where the connections of a listener go. */
export const tcpRouteSpec = z.strictObject({ ...routeFields, rules })

/** Gateway API `TLSRoute`: where TLS connections go, by the host that their clients name. */
export const tlsRouteSpec = z.strictObject({
  ...routeFields,
  hostnames: z
    .array(hostnameField.refine(host => !isIpAddress(host), 'clients name no IP addresses'))
    .max(1024)
    .optional(),
  rules,
})

export type KubernetesTcpRoute = Resource<'TCPRoute', z.infer<typeof tcpRouteSpec>>
export type KubernetesTlsRoute = Resource<'TLSRoute', z.infer<typeof tlsRouteSpec>>

/** v1 has one rule; the alpha versions had room for more. */
function checkRuleCount(count: number, apiVersion: string, findings: Findings): void {
  const path: FieldPath = ['rules', 1]
  if (count > 1 && apiVersion.endsWith('/v1')) findings.error(path, 'v1 has one rule only')
}

/** What the version of a TCPRoute requires. */
export const tcpRouteRules: Rules<z.infer<typeof tcpRouteSpec>> = (spec, findings, { apiVersion }) =>
  checkRuleCount(spec.rules.length, apiVersion, findings)

/** What the version of a TLSRoute requires. */
export const tlsRouteRules: Rules<z.infer<typeof tlsRouteSpec>> = (spec, findings, { apiVersion }) => {
  checkRuleCount(spec.rules.length, apiVersion, findings)
  if (!spec.hostnames?.length && !apiVersion.endsWith('/v1alpha2'))
    findings.error(['hostnames'], 'needs at least one host')
}
