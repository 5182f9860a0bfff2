import type { Container } from '@seine/api'
import type { PlannedPod } from './expand.ts'

/** What the downward API can tell a container of its pod. */
export interface PodFacts {
  readonly pod: Pick<PlannedPod, 'metadata' | 'spec'>
  /** Its addresses, the main one first. */
  readonly ips: readonly string[]
  readonly hostIp: string
}

/** A container's environment: literal values, downward API fields, and `$(NAME)` references, as Kubernetes does. */
export function containerEnv(container: Container, facts: PodFacts): Record<string, string> {
  const env: Record<string, string> = {}
  for (const variable of container.env ?? []) {
    const fieldPath = fieldPathOf(variable['valueFrom'])
    const value = variable.value ?? (fieldPath === undefined ? '' : (downward(fieldPath, facts) ?? ''))
    env[variable.name] = expandReferences(value, env)
  }
  return env
}

/** Replaces `$(NAME)` by what is known of it; `$$(NAME)` stays `$(NAME)`, an unknown name stays as it is. */
export function expandReferences(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)/g, (whole, name: string | undefined) => {
    if (name === undefined) return '$'
    return env[name] ?? whole
  })
}

function fieldPathOf(valueFrom: unknown): string | undefined {
  const fieldRef = child(valueFrom, 'fieldRef')
  const path = child(fieldRef, 'fieldPath')
  return typeof path === 'string' ? path : undefined
}

function child(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
}

function downward(path: string, { pod, ips, hostIp }: PodFacts): string | undefined {
  const { metadata, spec } = pod
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path)
  if (keyed) return metadata[keyed[1] as 'labels' | 'annotations'][keyed[2] ?? '']
  const fields: Record<string, string> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.labels': JSON.stringify(metadata.labels),
    'metadata.annotations': JSON.stringify(metadata.annotations),
    'spec.serviceAccountName': spec.serviceAccountName ?? 'default',
    'spec.nodeName': 'local',
    'status.podIP': ips[0] ?? '',
    'status.podIPs': ips.join(','),
    'status.hostIP': hostIp,
  }
  return fields[path]
}
