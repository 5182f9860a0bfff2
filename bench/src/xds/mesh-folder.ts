import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Virtual services in the mesh, as the peer was measured with. */
export const ROUTED_SERVICES = 20

/** The shape of the mesh that is measured. */
export interface MeshShape {
  readonly services: number
  readonly namespaces: number
  /** Endpoints are pods with sidecars, and not only addresses. */
  readonly pods: boolean
  /** What a service calls its port, which declares its protocol; empty for a port without a name. `http` where it is left out. */
  readonly portName?: (index: number) => string
}

/** A service of the measured mesh. */
export interface BenchService {
  readonly name: string
  readonly namespace: string
  readonly hostname: string
  readonly clusterIp: string
  /** Empty where it has none. */
  readonly portName: string
  /** Two endpoints. */
  readonly addresses: readonly [string, string]
}

/** The mesh as a folder of YAML, the way people hand Seine its configuration. Files are replaced whole, by renaming. */
export class MeshFolder {
  readonly path: string
  readonly #shape: MeshShape

  constructor(path: string, shape: MeshShape) {
    this.path = path
    this.#shape = shape
  }

  /** Writes all services, their endpoints and the virtual services of the first {@link ROUTED_SERVICES}. */
  async seed(): Promise<void> {
    await mkdir(this.path, { recursive: true })
    for (let index = 0; index < this.#shape.services; index++) {
      const service = this.service(index)
      await this.#write(`${service.name}.service`, serviceManifest(service))
      await this.setEndpoints(service)
    }
    for (let index = 0; index < Math.min(ROUTED_SERVICES, this.#shape.services); index++)
      await this.setWeight(index, 50)
  }

  /** The service of that number; numbers beyond the seeded ones are free for new services. */
  service(index: number): BenchService {
    const name = `svc-${index}`
    const namespace = this.namespaceOf(index)
    const block = index >> 8
    const rest = index & 255
    return {
      name,
      namespace,
      hostname: `${name}.${namespace}.svc.cluster.local`,
      clusterIp: `10.96.${block}.${rest}`,
      portName: this.#shape.portName?.(index) ?? 'http',
      addresses: [`10.${100 + block}.${rest}.1`, `10.${100 + block}.${rest}.2`],
    }
  }

  namespaceOf(index: number): string {
    return this.#shape.namespaces === 1 ? 'load' : `load-${index % this.#shape.namespaces}`
  }

  /** Makes the endpoints of a service those of its `addresses`. */
  async setEndpoints(service: BenchService): Promise<void> {
    await this.#write(`${service.name}.endpoints`, this.#endpointsManifest(service))
  }

  /** Splits a service's traffic between it and its neighbour: `weight` percent stay. With a timeout, where one is given. */
  async setWeight(index: number, weight: number, timeoutMs?: number): Promise<void> {
    await this.#write(
      `${this.service(index).name}.route`,
      routeManifest(this.service(index), this.neighbour(index), weight, timeoutMs),
    )
  }

  /** Makes a workload known, with a Sidecar of its own, which imports nothing but these services. */
  async addClient(
    { name, namespace, ip }: { readonly name: string; readonly namespace: string; readonly ip: string },
    imported: readonly BenchService[],
  ): Promise<void> {
    const sidecar = sidecarManifest(name, namespace, imported)
    await this.#write(`${name}.client`, `${sidecar}---\n${podManifest({ name, namespace }, ip, 0)}`)
  }

  /** Where the rest of a routed service's traffic goes. */
  neighbour(index: number): BenchService {
    return this.service((index + 1) % this.#shape.services)
  }

  /** Adds a service with its endpoints, in one file. */
  async add(service: BenchService): Promise<void> {
    await this.#write(
      `${service.name}.service`,
      `${serviceManifest(service)}---\n${this.#endpointsManifest(service)}`,
    )
  }

  async remove(service: BenchService): Promise<void> {
    await rm(join(this.path, `${service.name}.service.yaml`))
  }

  #endpointsManifest(service: BenchService): string {
    if (!this.#shape.pods) return sliceManifest(service)
    return service.addresses.map((ip, at) => podManifest(service, ip, at)).join('---\n')
  }

  async #write(name: string, text: string): Promise<void> {
    const path = join(this.path, `${name}.yaml`)
    const unfinished = join(this.path, `.${name}.unfinished`)
    await writeFile(unfinished, text)
    await rename(unfinished, path)
  }
}

function serviceManifest({ name, namespace, clusterIp, portName }: BenchService): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: ${namespace}
spec:
  clusterIP: ${clusterIp}
  selector:
    app: ${name}
  ports:
    - name: '${portName}'
      port: ${portName === 'tcp' ? 5432 : 80}
      targetPort: 8080
`
}

function sliceManifest({ name, namespace, addresses, portName }: BenchService): string {
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${name}-a
  namespace: ${namespace}
  labels:
    kubernetes.io/service-name: ${name}
addressType: IPv4
ports:
  - name: '${portName}'
    port: 8080
endpoints:
${addresses.map(address => `  - addresses: [${address}]\n    conditions: { ready: true }\n`).join('')}`
}

function podManifest(
  { name, namespace }: Pick<BenchService, 'name' | 'namespace'>,
  ip: string,
  at: number,
): string {
  return `apiVersion: v1
kind: Pod
metadata:
  name: ${name}-${at}
  namespace: ${namespace}
  labels:
    app: ${name}
    version: v${at + 1}
    security.istio.io/tlsMode: istio
spec:
  serviceAccountName: ${name}
  containers:
    - name: app
      ports:
        - containerPort: 8080
status:
  phase: Running
  podIP: ${ip}
  conditions:
    - type: Ready
      status: "True"
`
}

function sidecarManifest(workload: string, namespace: string, imported: readonly BenchService[]): string {
  return `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata:
  name: ${workload}
  namespace: ${namespace}
spec:
  workloadSelector:
    labels:
      app: ${workload}
  egress:
    - hosts:
${imported.map(service => `        - ${service.namespace}/${service.hostname}\n`).join('')}`
}

function routeManifest(
  service: BenchService,
  neighbour: BenchService,
  weight: number,
  timeoutMs: number | undefined,
): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: ${service.name}
  namespace: ${service.namespace}
spec:
  hosts:
    - ${service.hostname}
  http:
    - route:
        - destination:
            host: ${service.hostname}
          weight: ${weight}
        - destination:
            host: ${neighbour.hostname}
          weight: ${100 - weight}
${timeoutMs === undefined ? '' : `      timeout: ${timeoutMs}ms\n`}`
}
