import { z } from 'zod'
import { labelsField } from '../fields/selectors.ts'
import { ipField, portField } from '../fields.ts'
import type { Resource } from '../resource.ts'
import type { Rules } from '../rules.ts'

const envVar = z.looseObject({ name: z.string(), value: z.string().optional() })

const securityContext = z.looseObject({ runAsUser: z.int().optional() }).optional()

const container = z.looseObject({
  name: z.string(),
  securityContext,
  image: z.string().optional(),
  command: z.array(z.string()).optional().describe('What the local runtime of the demo runs'),
  args: z.array(z.string()).optional().describe('The same'),
  env: z.array(envVar).optional().describe('The same'),
  ports: z
    .array(
      z.looseObject({
        name: z.string().optional().describe('The name by which a `targetPort` means it'),
        containerPort: portField,
        protocol: z.string().optional(),
      }),
    )
    .optional()
    .describe('The ports that it serves'),
})

/** A Kubernetes pod's `spec`: what the mesh reads of it. */
export const podSpec = z.looseObject({
  serviceAccountName: z.string().optional().describe('Its identity; `default` unless it is said'),
  hostNetwork: z.boolean().optional().describe('Such a pod gets no sidecar'),
  nodeName: z.string().optional(),
  securityContext,
  initContainers: z.array(container).optional(),
  containers: z.array(container).default([]),
})

/** A pod without containers runs nothing. */
export const podRules: Rules<PodSpec> = (spec, findings) => {
  if (spec.containers.length === 0) findings.error(['containers'], 'needs at least one container')
}

/** A Kubernetes pod's `status`: what the mesh reads of it. */
export const podStatus = z.looseObject({
  podIP: ipField.optional(),
  podIPs: z.array(z.looseObject({ ip: ipField })).optional(),
  phase: z.string().optional(),
  conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).optional(),
})

const template = z.looseObject({
  metadata: z
    .looseObject({ labels: labelsField.optional(), annotations: z.record(z.string(), z.string()).optional() })
    .optional(),
  spec: podSpec,
})

/** A Kubernetes `Deployment`: what the mesh and the local runtime read of it. */
export const deploymentSpec = z.looseObject({
  replicas: z.int().min(0).optional().describe('How many pods; 1 unless it is said'),
  selector: z.looseObject({ matchLabels: labelsField.optional() }).optional(),
  template,
})

/** The other kinds that make pods from a template: what analysis reads of them. */
export const podTemplateSpec = z.looseObject({ template })

/** A template without containers makes pods that run nothing. */
export const podTemplateRules: Rules<z.infer<typeof podTemplateSpec>> = (spec, findings) => {
  if (spec.template.spec.containers.length === 0)
    findings.error(['template', 'spec', 'containers'], 'needs at least one container')
}

/** A kind of which nothing but its metadata is read. */
export const metadataOnly = z.looseObject({})

export type PodSpec = z.infer<typeof podSpec>
export type PodStatus = z.infer<typeof podStatus>
export type Container = z.infer<typeof container>
/** A pod with its status, as the API server or the local runtime reports it. */
export interface Pod extends Resource<'Pod', PodSpec> {
  readonly status?: PodStatus
}
export type DeploymentSpec = z.infer<typeof deploymentSpec>
export type Deployment = Resource<'Deployment', DeploymentSpec>
/** A kind that makes pods from a template. */
export type PodTemplateHolder<K extends string> = Resource<K, z.infer<typeof podTemplateSpec>>
export type StatefulSet = PodTemplateHolder<'StatefulSet'>
export type DaemonSet = PodTemplateHolder<'DaemonSet'>
export type ReplicaSet = PodTemplateHolder<'ReplicaSet'>
export type Job = PodTemplateHolder<'Job'>
export type Namespace = Resource<'Namespace', z.infer<typeof metadataOnly>>
export type ServiceAccount = Resource<'ServiceAccount', z.infer<typeof metadataOnly>>
