import { registeredName, type WorkloadEntry, type WorkloadGroup } from '@seine/api'
import { GROUP_ANNOTATION, HEALTH_ANNOTATION, HEALTHY } from './entry-status.ts'
import { localityOfLabels } from './locality.ts'
import { TLS_MODE_LABEL } from './workload.ts'

/** A workload that has registered by a group, as its agent describes it. */
export interface RegisteringWorkload {
  readonly group: string
  readonly namespace: string
  /** IPv4 or IPv6. */
  readonly address: string
  readonly network: string | undefined
  readonly labels: Readonly<Record<string, string>>
}

/** What its agent has found out about whether a workload can take requests. */
export interface Health {
  readonly healthy: boolean
  /** Why not. */
  readonly message: string
  /** ms since the Unix epoch. */
  readonly since: number
}

/**
 * The entry of a workload that has registered, as Istio makes it from the group's template. The workload's own labels
 * come before the group's, and those before the template's. Where each of its fields was written is where the template is.
 *
 * @param health undefined as long as its agent has reported none, which counts as unhealthy where the group has a probe
 */
export function registeredEntry(
  { kind, metadata, spec, origin, apiVersion }: WorkloadGroup,
  workload: RegisteringWorkload,
  health?: Health,
): WorkloadEntry {
  const { template } = spec
  const labels = {
    // It has a sidecar, or it could not have registered.
    [TLS_MODE_LABEL]: 'istio',
    ...template.labels,
    ...spec.metadata?.labels,
    ...workload.labels,
  }
  const network = workload.network || template.network
  const locality = localityOfLabels(workload.labels) || template.locality
  return {
    apiVersion,
    kind: 'WorkloadEntry',
    metadata: {
      name: registeredName(workload.group, workload.address, workload.network),
      namespace: metadata.namespace,
      labels,
      annotations: {
        ...spec.metadata?.annotations,
        [GROUP_ANNOTATION]: metadata.name,
        ...(spec.probe || health ? { [HEALTH_ANNOTATION]: 'true' } : {}),
      },
      ownerReferences: [{ kind, name: metadata.name }],
    },
    spec: {
      ...template,
      address: workload.address,
      labels,
      serviceAccount: accountOf(spec),
      ...(network ? { network } : {}),
      ...(locality ? { locality } : {}),
    },
    ...(health ? { status: { conditions: [conditionOf(health)] } } : {}),
    ...(origin
      ? {
          origin: {
            file: origin.file,
            line: origin.line,
            locate: path => origin.locate(path.replace(/^spec\b/, 'spec.template')),
          },
        }
      : {}),
  }
}

/** The service account whose tokens let workloads register by a group. */
export function accountOf({ template }: WorkloadGroup['spec']): string {
  return template.serviceAccount || 'default'
}

function conditionOf({ healthy, message, since }: Health): object {
  const time = new Date(since).toISOString()
  return {
    type: HEALTHY,
    status: healthy ? 'True' : 'False',
    lastProbeTime: time,
    lastTransitionTime: time,
    ...(message ? { message } : {}),
  }
}
