import { keyOf, type MeshResource, refOf } from '@seine/api'
import { hasProxy, type MeshService, type Workload } from '@seine/model'
import type {
  ApiProblem,
  ServiceDetail,
  ServiceSummary,
  WorkloadDetail,
  WorkloadSummary,
} from './api-types.ts'
import { reasonsForService, reasonsForWorkload } from './concerns.ts'
import { shapingRefs } from './config-refs.ts'
import type { HubProxy } from './hub-inputs.ts'
import { groupBy } from './maps.ts'
import { type MeshIndex, nodeId } from './mesh-index.ts'
import { podOf } from './proxies-view.ts'
import type { SidecarState } from './scraper.ts'
import type { TrafficView } from './traffic-view.ts'

/** Everything that the views are made from, at one moment. */
export interface ViewInputs {
  readonly index: MeshIndex
  /** By key. */
  readonly resources: ReadonlyMap<string, MeshResource>
  /** What is wrong with the configuration, and with what runs. */
  readonly problems: readonly ApiProblem[]
  readonly proxies: readonly HubProxy[]
  readonly traffic: TrafficView
  readonly stateOf: (pod: string) => SidecarState | undefined
}

/** The services and workloads of the mesh as the API shows them. */
export class Views {
  readonly #inputs: ViewInputs
  readonly #proxies: ReadonlyMap<string, HubProxy>
  /** By the key of the object that they are about. */
  readonly #problems: ReadonlyMap<string, readonly ApiProblem[]>

  constructor(inputs: ViewInputs) {
    this.#inputs = inputs
    this.#proxies = new Map(inputs.proxies.map(proxy => [podOf(proxy), proxy]))
    this.#problems = groupBy(inputs.problems, ({ kind = '', namespace = '', name = '' }) =>
      keyOf({ kind, namespace, name }),
    )
  }

  services(): ServiceSummary[] {
    return [...this.#inputs.index.snapshot.services.values()]
      .map(service => this.#serviceSummary(service, this.#problemsOfService(service)))
      .sort((a, b) => (a.hostname < b.hostname ? -1 : 1))
  }

  service(hostname: string): ServiceDetail | undefined {
    const { index, traffic, resources } = this.#inputs
    const service = index.snapshot.services.get(hostname)
    if (!service) return undefined
    const problemList = this.#problemsOfService(service)
    const summary = this.#serviceSummary(service, problemList)
    return {
      ...summary,
      versions: this.#versions(hostname),
      endpointList: this.#endpoints(hostname).map(({ address, port, workload, meshed }) => ({
        address,
        port,
        workload: workload?.workloadName ?? '',
        version: workload?.version ?? '',
        mtls: meshed,
        ...(workload ? { namespace: workload.namespace, pod: workload.name } : {}),
      })),
      inbound: traffic.inbound(summary.node),
      outbound: traffic.outbound(summary.node),
      config: shapingRefs(resources.values(), resource => reasonsForService(resource, service, index)),
      problemList,
    }
  }

  workloads(): WorkloadSummary[] {
    return [...this.#inputs.index.snapshot.workloads.values()]
      .map(workload => this.#workloadSummary(workload, this.#problemsOfWorkload(workload)))
      .sort((a, b) => (`${a.pod} ${a.namespace}` < `${b.pod} ${b.namespace}` ? -1 : 1))
  }

  workload(namespace: string, pod: string): WorkloadDetail | undefined {
    const { index, traffic, resources } = this.#inputs
    const workload = index.snapshot.workloads.get(`${namespace}/${pod}`)
    if (!workload) return undefined
    const node = nodeId(workload.namespace, workload.app)
    const proxy = this.#proxies.get(`${namespace}/${pod}`)
    const problemList = this.#problemsOfWorkload(workload)
    return {
      ...this.#workloadSummary(workload, problemList),
      serviceAccount: workload.serviceAccount,
      labels: workload.labels,
      services: index.servicesOf(workload).map(({ hostname }) => hostname),
      node,
      inbound: traffic.inbound(node),
      outbound: traffic.outbound(node),
      ...(proxy ? { proxyId: proxy.id, connectedAt: proxy.connectedAt, types: proxy.types } : {}),
      config: shapingRefs(resources.values(), resource => reasonsForWorkload(resource, workload, index)),
      problemList,
    }
  }

  #serviceSummary(service: MeshService, problems: readonly ApiProblem[]): ServiceSummary {
    const { hostname, name, namespace, external, addresses } = service
    const { index, traffic } = this.#inputs
    return {
      hostname,
      name,
      namespace,
      external,
      addresses,
      ports: service.ports.map(port => ({ name: port.name, number: port.number, protocol: port.protocol })),
      endpoints: this.#endpoints(hostname).length,
      traffic: traffic.ofService(hostname),
      ...problemFigures(problems),
      node: index.nodeOfService(hostname),
    }
  }

  #versions(hostname: string): ServiceDetail['versions'] {
    const byWorkload = groupBy(
      this.#endpoints(hostname).flatMap(({ workload }) => workload ?? []),
      ({ namespace, workloadName }) => `${namespace}/${workloadName}`,
    )
    return [...byWorkload.values()].flatMap(workloads => {
      const [first] = workloads
      if (!first) return []
      const { namespace, workloadName, version } = first
      const traffic = this.#inputs.traffic.ofService(hostname, { namespace, name: workloadName })
      return [{ namespace, workload: workloadName, version, endpoints: workloads.length, traffic }]
    })
  }

  /** Those of its first port: the others' are the same workloads at other ports. */
  #endpoints(hostname: string) {
    const { services, endpoints } = this.#inputs.index.snapshot
    const first = services.get(hostname)?.ports[0]
    return (first && endpoints.get(hostname)?.byPort.get(first.number)) ?? []
  }

  #workloadSummary(workload: Workload, problems: readonly ApiProblem[]): WorkloadSummary {
    const state = this.#inputs.stateOf(`${workload.namespace}/${workload.name}`)
    return {
      name: workload.workloadName,
      pod: workload.name,
      namespace: workload.namespace,
      app: workload.app,
      version: workload.version,
      address: workload.addresses[0] ?? '',
      ready: workload.ready,
      meshed: hasProxy(workload),
      proxy: this.#proxyState(workload),
      ...(state?.certificate ? { certificate: state.certificate } : {}),
      traffic: this.#inputs.traffic.ofWorkload(workload.namespace, workload.workloadName),
      ...problemFigures(problems),
      ...(state?.waitsFor === undefined ? {} : { waitsFor: state.waitsFor }),
    }
  }

  #proxyState(workload: Workload): WorkloadSummary['proxy'] {
    if (!hasProxy(workload)) return 'NONE'
    const { namespace, name } = workload
    const proxy = this.#proxies.get(`${namespace}/${name}`)
    if (!proxy) return 'NOT CONNECTED'
    const states = Object.values(proxy.types).map(({ state }) => state)
    return states.includes('NACKED') ? 'NACKED' : states.includes('STALE') ? 'STALE' : 'SYNCED'
  }

  #problemsOfService(service: MeshService): ApiProblem[] {
    const { index } = this.#inputs
    return this.#problemsOf(
      resource => reasonsForService(resource, service, index).length > 0,
      new Set(index.workloadsOf(service.hostname).map(({ ref }) => keyOf(ref))),
    )
  }

  #problemsOfWorkload(workload: Workload): ApiProblem[] {
    const { index } = this.#inputs
    return this.#problemsOf(
      resource => reasonsForWorkload(resource, workload, index).length > 0,
      new Set([keyOf(workload.ref)]),
    )
  }

  #problemsOf(concerns: (resource: MeshResource) => boolean, runs: ReadonlySet<string>): ApiProblem[] {
    return [...this.#problems].flatMap(([key, problems]) => {
      const resource = this.#inputs.resources.get(key)
      return runs.has(key) || (resource && concerns(resource)) ? problems : []
    })
  }
}

const SEVERITIES = ['error', 'warning', 'info'] as const

/** How many problems something has, and the worst of them. */
export function problemFigures(problems: readonly ApiProblem[]): {
  readonly problems: number
  readonly worst?: ApiProblem['severity']
} {
  const worst = SEVERITIES.find(severity => problems.some(problem => problem.severity === severity))
  return { problems: problems.length, ...(worst ? { worst } : {}) }
}

/** Resources by key. */
export function byKey(resources: Iterable<MeshResource>): Map<string, MeshResource> {
  return new Map([...resources].map(resource => [keyOf(refOf(resource)), resource]))
}
