import { z } from 'zod'
import {
  gatewayDurationField,
  gatewayPortField,
  groupField,
  hostnameField,
  kindField,
  namespaceField,
  objectNameField,
  sectionNameField,
  tokenField,
  unique,
} from './common.ts'
import { GATEWAY_GROUP } from './listener.ts'

const parentRef = z.strictObject({
  group: groupField.default(GATEWAY_GROUP),
  kind: kindField.default('Gateway'),
  name: objectNameField,
  namespace: namespaceField.optional(),
  sectionName: sectionNameField.optional(),
  port: gatewayPortField.optional(),
})

export type ParentReference = z.infer<typeof parentRef>

function parentOf({ group, kind, namespace, name }: ParentReference): string {
  return JSON.stringify([group, kind, namespace, name])
}

/** What a route is attached to. One parent twice is told apart by section or port. */
export const parentRefsField = z
  .array(parentRef)
  .max(32)
  .superRefine(
    unique(
      ref => JSON.stringify([parentOf(ref), ref.sectionName, ref.port]),
      ({ name }) => `${name} is there twice: tell the two apart by sectionName or port`,
    ),
  )
  .superRefine((refs, context) => {
    for (const [index, ref] of refs.entries()) {
      const other = refs.slice(0, index).find(earlier => parentOf(earlier) === parentOf(ref))
      const isMixed =
        other &&
        ((other.sectionName === undefined) !== (ref.sectionName === undefined) ||
          (other.port === undefined) !== (ref.port === undefined))
      if (isMixed)
        context.addIssue({
          code: 'custom',
          path: [index],
          message: `${ref.name} is there twice: give both a sectionName, or both a port`,
        })
    }
  })

/** The fields that every route has. */
export const routeFields = {
  parentRefs: parentRefsField.optional(),
  useDefaultGateways: z.enum(['All', 'None']).optional(),
}

/** The hosts of an HTTPRoute or a GRPCRoute. */
export const routeHostnamesField = z.array(hostnameField).max(16).optional()

const backendFields = {
  group: groupField.default(''),
  kind: kindField.default('Service'),
  name: objectNameField,
  namespace: namespaceField.optional(),
  port: gatewayPortField.optional(),
}

function checkBackendPort(
  { group, kind, port }: { group: string; kind: string; port?: number | undefined },
  context: z.RefinementCtx,
): void {
  if (group === '' && kind === 'Service' && port === undefined)
    context.addIssue({ code: 'custom', path: ['port'], message: 'is needed for a Service' })
}

const weight = z
  .int()
  .min(0, 'a weight is 0 to 1000000')
  .max(1_000_000, 'a weight is 0 to 1000000')
  .default(1)

/** Where a TCP or TLS route leads. */
export const backendRefField = z.strictObject({ ...backendFields, weight }).superRefine(checkBackendPort)

/** Where an HTTP or gRPC route leads, with filters for what goes there. */
export function filteredBackendRef<Filters extends z.ZodType>(filters: Filters) {
  return z
    .strictObject({ ...backendFields, weight, filters: filters.optional() })
    .superRefine(checkBackendPort)
}

const header = z.strictObject({
  name: tokenField,
  value: z
    .string()
    .min(1, 'is needed')
    .max(4096)
    .regex(/^[!-~]+([\t ]?[!-~]+)*$/, 'is no header value'),
})
const headerList = z
  .array(header)
  .max(16)
  .superRefine(
    unique(
      ({ name }) => name.toLowerCase(),
      ({ name }) => `the header ${name} is there twice`,
      ['name'],
    ),
  )
  .optional()

const headerModifier = z.strictObject({
  set: headerList,
  add: headerList,
  remove: z
    .array(z.string())
    .max(16)
    .superRefine(
      unique(
        name => name.toLowerCase(),
        name => `the header ${name} is there twice`,
      ),
    )
    .optional(),
})

const requestMirror = z
  .strictObject({
    backendRef: z.strictObject(backendFields).superRefine(checkBackendPort),
    percent: z.int().min(0, 'a percentage is 0 to 100').max(100, 'a percentage is 0 to 100').optional(),
    fraction: z
      .strictObject({
        numerator: z.int().min(0, 'must be 0 or more'),
        denominator: z.int().min(1, 'must be 1 or more').default(100),
      })
      .refine(({ numerator, denominator }) => numerator <= denominator, {
        path: ['numerator'],
        message: 'must not be larger than the denominator',
      })
      .optional(),
  })
  .refine(({ percent, fraction }) => percent === undefined || fraction === undefined, {
    path: ['fraction'],
    message: 'only one of percent, fraction can be set',
  })

/** The filters that HTTP and gRPC routes have in common, by the field that holds each. */
export const commonFilters = {
  requestHeaderModifier: headerModifier.optional(),
  responseHeaderModifier: headerModifier.optional(),
  requestMirror: requestMirror.optional(),
  extensionRef: z.strictObject({ group: groupField, kind: kindField, name: objectNameField }).optional(),
}

/** The filter's type that a field goes with: `requestMirror` with `RequestMirror`. */
const TYPE_OF: Readonly<Record<string, string>> = { cors: 'CORS', urlRewrite: 'URLRewrite' }

function typeOf(field: string): string {
  return TYPE_OF[field] ?? field.charAt(0).toUpperCase() + field.slice(1)
}

/** Requires the settings of a filter's own type, and no others. */
export function checkFilterType(filter: object, context: z.RefinementCtx): void {
  const { type, ...settings } = filter as { type: string } & Record<string, unknown>
  const wanted = Object.keys(settings).filter(field => settings[field] !== undefined)
  for (const field of wanted)
    if (typeOf(field) !== type)
      context.addIssue({
        code: 'custom',
        path: [field],
        message: `goes with type ${typeOf(field)}, not ${type}`,
      })
  if (!wanted.some(field => typeOf(field) === type))
    context.addIssue({ code: 'custom', path: [], message: `the settings of ${type} are needed` })
}

/** Reports filters of a type that can be there once only. */
export function onceOf(types: readonly string[]) {
  return unique<{ type: string }>(
    ({ type }) => (types.includes(type) ? type : undefined),
    ({ type }) => `a filter of type ${type} is there already`,
    ['type'],
  )
}

/** How requests of one client are kept at one backend. */
export const sessionPersistenceField = z
  .strictObject({
    sessionName: z.string().max(128).optional(),
    absoluteTimeout: gatewayDurationField.optional(),
    idleTimeout: gatewayDurationField.optional(),
    type: z.enum(['Cookie', 'Header']).default('Cookie'),
    cookie: z
      .strictObject({
        name: tokenField.optional(),
        path: z.string().max(1024).default('/'),
        lifetimeType: z.enum(['Permanent', 'Session']).default('Session'),
      })
      .optional(),
    header: z.strictObject({ name: tokenField }).optional(),
  })
  .superRefine(({ type, cookie, header, absoluteTimeout }, context) => {
    const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    if (cookie && type !== 'Cookie') issue(['cookie'], 'goes with type Cookie')
    if (header && type !== 'Header') issue(['header'], 'goes with type Header')
    if (type === 'Header' && !header) issue(['header'], 'is needed for type Header')
    if (cookie?.lifetimeType === 'Permanent' && !absoluteTimeout)
      issue(['absoluteTimeout'], 'is needed for a cookie that is permanent')
  })

/** A route's header match. */
export const headerMatchesField = z
  .array(
    z.strictObject({
      type: z.enum(['Exact', 'RegularExpression']).default('Exact'),
      name: tokenField,
      value: z.string().min(1, 'is needed').max(4096),
    }),
  )
  .max(16)
  .superRefine(
    unique(
      ({ name }) => name.toLowerCase(),
      ({ name }) => `the header ${name} is there twice`,
      ['name'],
    ),
  )
  .optional()

/** How many matches all rules of a route may have together. */
export const MOST_MATCHES = 128
