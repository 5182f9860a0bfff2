import { stringify } from 'yaml'

type Spec = Readonly<Record<string, unknown>>

/** Resources as one text of YAML documents. */
export function documents(...texts: readonly string[]): string {
  return texts.map(text => text.trim()).join('\n---\n')
}

/** Any resource as YAML. */
export function resource(
  apiVersion: string,
  kind: string,
  namespace: string,
  name: string,
  body: Spec,
): string {
  return stringify({ apiVersion, kind, metadata: { name, namespace }, ...body })
}

/** Routes for a service of the namespace `shop`. */
export function virtualService(host: string, http: readonly Spec[]): string {
  return resource('networking.istio.io/v1', 'VirtualService', 'shop', host, { spec: { hosts: [host], http } })
}

/** What applies to a service of the namespace `shop` after routing; with the three versions as subsets. */
export function destinationRule(host: string, spec: Spec = {}): string {
  const subsets = ['v1', 'v2', 'v3'].map(version => ({ name: version, labels: { version } }))
  return resource('networking.istio.io/v1', 'DestinationRule', 'shop', host, {
    spec: { host, subsets, ...spec },
  })
}

/** A route's destination: a version of a service, or all of it. */
export function to(host: string, subset?: string, weight?: number): Spec {
  const destination = subset === undefined ? { host } : { host, subset }
  return weight === undefined ? { destination } : { destination, weight }
}

export function peerAuthentication(namespace: string, name: string, spec: Spec): string {
  return resource('security.istio.io/v1', 'PeerAuthentication', namespace, name, { spec })
}

export function authorizationPolicy(namespace: string, name: string, spec: Spec): string {
  return resource('security.istio.io/v1', 'AuthorizationPolicy', namespace, name, { spec })
}

export function serviceEntry(name: string, spec: Spec): string {
  return resource('networking.istio.io/v1', 'ServiceEntry', 'shop', name, { spec })
}

/** The mesh-wide settings. */
export function meshConfig(settings: Spec): string {
  return resource('v1', 'ConfigMap', 'istio-system', 'istio', { data: { mesh: stringify(settings) } })
}

/** Lets requests for `shop.example.com` in by the gateway `edge`, to a service of the namespace `shop`. */
export function shopFromOutside(service: string): string {
  return documents(
    resource('networking.istio.io/v1', 'Gateway', 'edge', 'edge', {
      spec: {
        selector: { app: 'edge' },
        servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
      },
    }),
    resource('networking.istio.io/v1', 'VirtualService', 'shop', 'from-outside', {
      spec: {
        hosts: ['shop.example.com'],
        gateways: ['edge/edge'],
        http: [{ route: [to(`${service}.shop.svc.cluster.local`)] }],
      },
    }),
  )
}
