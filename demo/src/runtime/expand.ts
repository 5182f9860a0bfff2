import { createHash } from 'node:crypto'
import type { Deployment, PodSpec } from '@seine/api'

/** A pod that is to run, before anything is injected into it. */
export interface PlannedPod {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly labels: Readonly<Record<string, string>>
    readonly annotations: Readonly<Record<string, string>>
    readonly ownerReferences: readonly {
      readonly apiVersion: string
      readonly kind: string
      readonly name: string
      readonly controller: boolean
    }[]
  }
  readonly spec: PodSpec
  /** The Deployment's name, which is the workload's. */
  readonly workload: string
}

/** Kubernetes' alphabet for generated names: no vowels, nothing that reads like another letter. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'

/** A short name out of a text, always the same for the same text. */
export function safeHash(text: string, length: number): string {
  const digest = createHash('sha256').update(text).digest()
  return [...digest.subarray(0, length)].map(byte => ALPHABET[byte % ALPHABET.length]).join('')
}

/** The pods a Deployment stands for, named and labelled as Kubernetes would: `reviews-v1-7d4f9c8b6-x2x9z`. */
export function expandDeployment(deployment: Deployment): readonly PlannedPod[] {
  const { name, namespace } = deployment.metadata
  const { template } = deployment.spec
  const hash = safeHash(JSON.stringify(template), 10)
  const replicaSet = `${name}-${hash}`
  return Array.from({ length: deployment.spec.replicas ?? 1 }, (_, index) => ({
    metadata: {
      name: `${replicaSet}-${safeHash(`${namespace}/${replicaSet}/${index}`, 5)}`,
      namespace,
      labels: { ...template.metadata?.labels, 'pod-template-hash': hash },
      annotations: { ...template.metadata?.annotations },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: replicaSet, controller: true }],
    },
    spec: template.spec,
    workload: name,
  }))
}
