import { z } from 'zod'
import type { Resource } from '../resource.ts'
import {
  DOMAIN_PREFIXED,
  groupField,
  hostnameField,
  kindField,
  objectNameField,
  optionsField,
  preciseHostField,
  sectionNameField,
  unique,
} from './common.ts'

const targetRef = z.strictObject({
  group: groupField,
  kind: kindField,
  name: objectNameField,
  sectionName: sectionNameField.optional(),
})

const subjectAltName = z
  .strictObject({
    type: z.enum(['Hostname', 'URI']),
    hostname: hostnameField.optional(),
    uri: z
      .string()
      .min(1)
      .max(253)
      .regex(/^[^:/?#]+:(\/\/[^/?#]*)?[^?#]*/, 'must be a URI with its scheme')
      .optional(),
  })
  .superRefine((name, context) => {
    const [own, other] = name.type === 'URI' ? (['uri', 'hostname'] as const) : (['hostname', 'uri'] as const)
    if (!name[own])
      context.addIssue({ code: 'custom', path: [own], message: `is needed for type ${name.type}` })
    if (name[other])
      context.addIssue({ code: 'custom', path: [other], message: `does not go with type ${name.type}` })
  })

const validation = z
  .strictObject({
    hostname: preciseHostField,
    caCertificateRefs: z
      .array(z.strictObject({ group: groupField, kind: kindField, name: objectNameField }))
      .max(8)
      .optional(),
    wellKnownCACertificates: z
      .string()
      .refine(text => text === '' || text === 'System' || DOMAIN_PREFIXED.test(text), 'must be System')
      .optional(),
    subjectAltNames: z.array(subjectAltName).max(5).optional(),
  })
  .superRefine(({ caCertificateRefs, wellKnownCACertificates }, context) => {
    if (!caCertificateRefs?.length === !wellKnownCACertificates)
      context.addIssue({
        code: 'custom',
        path: caCertificateRefs?.length ? ['wellKnownCACertificates'] : [],
        message: 'exactly one of caCertificateRefs, wellKnownCACertificates must be set',
      })
  })

/** Gateway API `BackendTLSPolicy`: how a gateway makes sure whom it talks to behind it. */
export const backendTlsPolicySpec = z.strictObject({
  targetRefs: z
    .array(targetRef)
    .min(1, 'needs at least one target')
    .max(16)
    .superRefine(
      unique(
        ref => JSON.stringify(ref),
        ({ name }) => `${name} is there twice`,
      ),
    )
    .superRefine((refs, context) => {
      const keyOf = ({ group, kind, name }: z.infer<typeof targetRef>) => `${group}/${kind}/${name}`
      for (const [index, ref] of refs.entries())
        if (refs.some(other => keyOf(other) === keyOf(ref) && !!other.sectionName !== !!ref.sectionName))
          context.addIssue({
            code: 'custom',
            path: [index],
            message: `${ref.name} is there with a sectionName and without: give both one`,
          })
    }),
  validation,
  options: optionsField.optional(),
})

export type BackendTlsPolicySpec = z.infer<typeof backendTlsPolicySpec>
export type BackendTlsPolicy = Resource<'BackendTLSPolicy', BackendTlsPolicySpec>
