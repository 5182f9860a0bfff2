import { z } from 'zod'
import { regexProblem } from '../fields.ts'
import type { Resource } from '../resource.ts'
import { sectionNameField, unique } from './common.ts'
import {
  checkFilterType,
  commonFilters,
  filteredBackendRef,
  headerMatchesField,
  MOST_MATCHES,
  onceOf,
  routeFields,
  routeHostnamesField,
  sessionPersistenceField,
} from './route-fields.ts'

const SERVICE = /^\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$/i
const METHOD = /^[A-Za-z_][A-Za-z_0-9]*$/

const methodMatch = z
  .strictObject({
    type: z.enum(['Exact', 'RegularExpression']).default('Exact'),
    service: z.string().max(1024).optional(),
    method: z.string().max(1024).optional(),
  })
  .superRefine(({ type, service, method }, context) => {
    const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    if (service === undefined && method === undefined) issue([], 'one of service, method must be set')
    for (const [field, value, pattern] of [
      ['service', service, SERVICE],
      ['method', method, METHOD],
    ] as const) {
      if (value === undefined) continue
      const message =
        type === 'RegularExpression'
          ? regexProblem(value)
          : pattern.test(value)
            ? undefined
            : `is no name of a gRPC ${field}`
      if (message) issue([field], message)
    }
  })

const grpcMatch = z
  .strictObject({ method: methodMatch.optional(), headers: headerMatchesField })
  .superRefine(({ headers }, context) => {
    for (const [index, { type, value }] of (headers ?? []).entries()) {
      const message = type === 'RegularExpression' ? regexProblem(value) : undefined
      if (message) context.addIssue({ code: 'custom', path: ['headers', index, 'value'], message })
    }
  })

const filters = z
  .array(
    z
      .strictObject({
        type: z.enum(['ResponseHeaderModifier', 'RequestHeaderModifier', 'RequestMirror', 'ExtensionRef']),
        ...commonFilters,
      })
      .superRefine(checkFilterType),
  )
  .max(16)
  .superRefine(onceOf(['RequestHeaderModifier', 'ResponseHeaderModifier']))

const rule = z.strictObject({
  name: sectionNameField.optional(),
  matches: z.array(grpcMatch).max(64).optional(),
  filters: filters.optional(),
  backendRefs: z.array(filteredBackendRef(filters)).max(16).optional(),
  sessionPersistence: sessionPersistenceField.optional(),
})

/** Gateway API `GRPCRoute`: where gRPC calls go. */
export const grpcRouteSpec = z
  .strictObject({
    ...routeFields,
    hostnames: routeHostnamesField,
    rules: z
      .array(rule)
      .max(16)
      .superRefine(
        unique(
          ({ name }) => name,
          ({ name }) => `there is already a rule named ${name}`,
          ['name'],
        ),
      )
      .optional(),
  })
  .refine(
    ({ rules }) =>
      (rules ?? []).reduce((sum, { matches }) => sum + (matches?.length ?? 0), 0) <= MOST_MATCHES,
    { path: ['rules'], message: `the rules have at most ${MOST_MATCHES} matches together` },
  )

export type GrpcRouteSpec = z.infer<typeof grpcRouteSpec>
export type GrpcRoute = Resource<'GRPCRoute', GrpcRouteSpec>
