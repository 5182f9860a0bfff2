/** How bad a finding is, in Istio's words. */
export type Level = 'Error' | 'Warning' | 'Info'

/** What is known of a code before anything is found. */
export interface CodeDefinition {
  readonly level: Level
  /** The message, with `{names}` for what differs from finding to finding. */
  readonly template: string
  /** What it means, and what to do: for documentation. */
  readonly explains: string
}

/**
 * The codes that Istio publishes, as far as they make sense outside of Istio's own installation, and one of ours
 * (`patch-unused` and `patch-refused`, which translation reports). The levels are Istio's, so that gates in people's pipelines keep
 * working. What is not here: IST0001 (a fault of the tool),
 * IST0136 (alpha annotations, which Istio does not run by default), IST0141, IST0142, IST0156, IST0158, IST0163,
 * IST0164, IST0168, IST0169, IST0172 and IST0175 (Istio's own control plane), IST0143 (needs to look into
 * running pods) and IST0170 (needs several clusters).
 */
export const codes = {
  IST0002: {
    level: 'Warning',
    template: '{what} is deprecated: {instead}',
    explains: 'Something is used that a later version will not have. Use what the message names instead.',
  },
  IST0101: {
    level: 'Error',
    template: 'there is no {what} {name}',
    explains:
      'Something is referred to that is not there: a host, a port, a subset, a gateway, a secret, a namespace or workloads. Correct the name, or write down what it names.',
  },
  IST0102: {
    level: 'Info',
    template:
      'pods of this namespace get no sidecar: label it istio-injection=enabled, or istio-injection=disabled to say that this is meant',
    explains: 'Nothing says whether pods of the namespace belong to the mesh.',
  },
  IST0103: {
    level: 'Warning',
    template: 'has no sidecar, though its namespace asks for one: restart it',
    explains: 'The pod was started before its namespace got the label, or injection failed.',
  },
  IST0106: {
    level: 'Error',
    template: '{problem}',
    explains: 'The object does not follow its API. It is not used as long as this is so.',
  },
  IST0107: {
    level: 'Warning',
    template: 'the annotation {annotation} has no effect here: it is for {kinds}',
    explains: 'The annotation is read on objects of another kind. Move it there.',
  },
  IST0108: {
    level: 'Warning',
    template: 'there is no annotation {annotation}',
    explains: 'Nothing reads the annotation. It is probably misspelt.',
  },
  IST0109: {
    level: 'Error',
    template: 'the VirtualServices {names} are all for the host {host}: merge them into one',
    explains:
      'Sidecars use one VirtualService for a host. With several of them it is not defined which one that is.',
  },
  IST0110: {
    level: 'Error',
    template: 'the Sidecars {names} all select the workload {workload}: only one of them is used',
    explains: 'A workload has one Sidecar. Let their selectors differ.',
  },
  IST0111: {
    level: 'Error',
    template: 'the Sidecars {names} are all for the whole namespace {namespace}: only one of them is used',
    explains: 'A namespace has one Sidecar without a workloadSelector. Merge them, or give them selectors.',
  },
  IST0112: {
    level: 'Error',
    template: '{host} has the ports {ports}: say which one with port.number',
    explains: 'A destination of a service with several ports names the port.',
  },
  IST0116: {
    level: 'Warning',
    template: 'the Services {services} all lead to this workload at port {port}, with different protocols',
    explains: 'One port of a workload has one protocol. Let the Services agree on it.',
  },
  IST0118: {
    level: 'Info',
    template:
      'the name "{name}" of port {port} tells no protocol, so it is detected: set appProtocol, or begin the name with the protocol, as in http-{hint}',
    explains:
      "A port's protocol is known from its appProtocol or from its name. Otherwise it is detected from the first bytes, which server-first protocols do not allow.",
  },
  IST0123: {
    level: 'Warning',
    template: 'the labels {labels} contradict each other: keep one of them',
    explains: 'A namespace says in one way how its pods join the mesh.',
  },
  IST0125: {
    level: 'Warning',
    template: 'the annotation {annotation} is not valid: {problem}',
    explains: 'The value can not be read, so the default applies.',
  },
  IST0126: {
    level: 'Error',
    template: 'network {network} has endpoints from a registry {registry}, which nobody knows',
    explains:
      'The registries are "Kubernetes", "External", "Mock" and the clusters that remote secrets name.',
  },
  IST0127: {
    level: 'Warning',
    template: 'no workload of the mesh has the labels {labels}: the policy applies to nothing',
    explains: 'A policy that selects nothing is usually misspelt, or left over.',
  },
  IST0128: {
    level: 'Warning',
    template: 'TLS to {host} is {mode} without caCertificates: nobody checks whom it leads to',
    explains:
      'Without a certificate authority every certificate is taken. Name one in caCertificates or credentialName.',
  },
  IST0129: {
    level: 'Warning',
    template: 'TLS to {host} at port {port} is {mode} without caCertificates: nobody checks whom it leads to',
    explains:
      'Without a certificate authority every certificate is taken. Name one in caCertificates or credentialName.',
  },
  IST0130: {
    level: 'Warning',
    template: 'rule {rule} is never used: {reason}',
    explains: 'Rules are tried in their order, and an earlier one takes all that this one is for.',
  },
  IST0131: {
    level: 'Info',
    template: 'match {match} of rule {rule} is never used: {earlier} matches the same before it',
    explains: 'Matches are tried in their order, and an earlier one takes all that this one is for.',
  },
  IST0132: {
    level: 'Warning',
    template: 'none of the hosts {hosts} is a host of the gateway {gateway}',
    explains:
      'Requests for these hosts never come in by that gateway. Add a host to one of its servers, or correct it here.',
  },
  IST0133: {
    level: 'Warning',
    template: '{problem}',
    explains: 'The object is used, but something about it is probably not as it was meant.',
  },
  IST0134: {
    level: 'Warning',
    template: 'port {port} is TCP: without addresses its connections can not be told from others',
    explains:
      'A sidecar recognises plain TCP by its address alone. Give the ServiceEntry addresses, or turn on their allocation.',
  },
  IST0135: {
    level: 'Info',
    template: 'the annotation {annotation} is deprecated{instead}',
    explains: 'A later version will not read the annotation.',
  },
  IST0137: {
    level: 'Warning',
    template:
      'the Services {services} lead to port {targetPort} of this workload from different ports ({ports}): the sidecar can not tell them apart',
    explains: 'Services that select the same workload lead to one of its ports from one port of theirs.',
  },
  IST0138: {
    level: 'Warning',
    template: 'the gateways {gateways} have the same certificate: browsers reuse connections and get 404s',
    explains:
      'A browser sends requests for all hosts of a certificate over one HTTP/2 connection, which ends at one gateway. Put the hosts into one Gateway, or give each a certificate.',
  },
  IST0139: {
    level: 'Error',
    template: '{problem}',
    explains: 'A webhook that adds sidecars is not as it must be: pods are injected twice, or not at all.',
  },
  IST0140: {
    level: 'Warning',
    template: 'the subset that VirtualService {name} routes to does not hold for requests from a gateway',
    explains: 'Routes of the mesh do not apply to requests at a gateway. Route to the subset here too.',
  },
  IST0144: {
    level: 'Warning',
    template: "runs as user {uid}, which is the sidecar's: none of its connections is captured",
    explains:
      'Connections of user 1337 are those of the sidecar itself. Run the application as another user.',
  },
  IST0145: {
    level: 'Error',
    template:
      'the gateways {gateways} have servers for the same hosts ({hosts}) at port {port} of the same workloads',
    explains: 'It is not defined which of the servers is used. Let their hosts or ports differ.',
  },
  'gateway-own-port': {
    level: 'Error',
    template:
      'the gateway would listen on port {port} of its pods, which the proxy has for itself, so this server is left out: let the Service lead to another targetPort',
    explains:
      "A server's port leads, by the Service of the gateway, to a port of the pod that Envoy or the agent listens on: 15000, 15020, 15021, 15053 or 15090.",
  },
  'gateway-protocols': {
    level: 'Error',
    template:
      'port {port} of the gateway is for {other} already, by {gateway}, so this server is left out: give it another port',
    explains:
      'On one port, servers for HTTP go together, and so do servers with TLS; other TCP has a port alone. The oldest Gateway has it.',
  },
  'gateway-passes-on': {
    level: 'Warning',
    template:
      'no route of it is followed at the Gateway {gateway}, whose servers pass TLS on by the names that sidecars give to services (AUTO_PASSTHROUGH): leave the gateway out, or add a server that routes are for',
    explains:
      'A server in mode `AUTO_PASSTHROUGH` is for connections of other [networks](../tasks/networks.md), and asks no VirtualService.',
  },
  IST0146: {
    level: 'Warning',
    template: '{kind} {name} waits for an image that injection fills in, and no webhook selects its pods',
    explains: 'image: auto is replaced by injection. Label the pods or their namespace for it.',
  },
  IST0147: {
    level: 'Error',
    template: '{kind} {name} waits for an image that injection fills in, and was not injected',
    explains:
      'image: auto is replaced by injection when a pod is made. Label the pod for it and make it again.',
  },
  IST0148: {
    level: 'Info',
    template: 'pods of this namespace get a sidecar, as those of every namespace without a label do',
    explains: 'The injector is set to enable namespaces by default.',
  },
  IST0149: {
    level: 'Error',
    template:
      'routes by the claim {key}, but no RequestAuthentication checks tokens at the gateway {gateway} (workload {workload})',
    explains: 'Claims are known after a token was checked. Write a RequestAuthentication for the gateway.',
  },
  IST0150: {
    level: 'Warning',
    template: 'the name of port {port} of this ExternalName Service must tell a protocol other than TCP',
    explains:
      'An ExternalName Service has no address of its own, so its plain TCP would take all connections at that port.',
  },
  IST0151: {
    level: 'Warning',
    template:
      '{operation} depends on what is there before, and the order of EnvoyFilters is not set: give a priority',
    explains:
      'An EnvoyFilter without a priority may be applied before what it refers to. INSERT_FIRST and ADD need no order.',
  },
  IST0152: {
    level: 'Error',
    template: 'REPLACE does not work for {applyTo}: it is for filters and virtual hosts',
    explains: 'The patch is ignored. Use MERGE.',
  },
  IST0153: {
    level: 'Error',
    template: 'ADD is ignored for {applyTo}',
    explains: 'They can be merged into, not added.',
  },
  IST0154: {
    level: 'Error',
    template: 'REMOVE is ignored for {applyTo}',
    explains: 'They can be merged into, not removed.',
  },
  IST0155: {
    level: 'Warning',
    template:
      '{operation} refers to {filter}, which another patch changes for one version of the proxy only: give a priority',
    explains:
      'During an upgrade the patch may find nothing to refer to. INSERT_FIRST and ADD need no order; a priority sets one.',
  },
  IST0157: {
    level: 'Warning',
    template:
      'accessLogging without providers logs nothing: name one, or set a default in the mesh configuration',
    explains: 'Without a provider, and without a default one, there is nowhere to log to.',
  },
  IST0159: {
    level: 'Error',
    template: 'the Telemetries {names} all select the workload {workload}: only one of them is used',
    explains: 'A workload has one Telemetry. Let their selectors differ.',
  },
  IST0160: {
    level: 'Error',
    template: 'the Telemetries {names} are all for the whole namespace {namespace}: only one of them is used',
    explains: 'A namespace has one Telemetry without a selector. Merge them, or give them selectors.',
  },
  IST0161: {
    level: 'Error',
    template: 'the secret {secret} holds no certificate that can be used: {problem}',
    explains: 'The server has no certificate, so that clients can not connect.',
  },
  IST0162: {
    level: 'Warning',
    template: 'no Service leads to port {port} of the workloads with the labels {selector}',
    explains: 'The gateway listens at a port that nobody reaches by its Service.',
  },
  IST0165: {
    level: 'Warning',
    template:
      '{gateway} is made from a Gateway of the Gateway API and may change: refer to that one by a route',
    explains: 'Names that hold "istio-autogenerated-k8s-gateway" are internal.',
  },
  IST0166: {
    level: 'Warning',
    template: 'the selector has no effect on the Gateway {gateway} of the Gateway API: use targetRefs',
    explains: 'Policies for a Gateway of the Gateway API name it in targetRefs.',
  },
  IST0167: {
    level: 'Warning',
    template: 'has no effect: {reason}',
    explains: 'The policy is for sidecars, and the workloads it is for have none.',
  },
  IST0171: {
    level: 'Warning',
    template: 'its status says {type}={status}, {reason}: {message}',
    explains: 'A controller reports that it could not do what the object asks for.',
  },
  IST0173: {
    level: 'Error',
    template: 'no workload has the labels of the subset {subset}: requests to it fail with 503',
    explains: 'A subset without endpoints answers nothing. Correct its labels, or remove it.',
  },
  IST0174: {
    level: 'Warning',
    template: 'no service has the host {host}: the rule applies to nothing',
    explains: 'The rule is for a service that is not there. Correct the host, or remove the rule.',
  },
  IST0176: {
    level: 'Warning',
    template:
      '{crd} is of Gateway API {installed}, and at least {minimum} is needed: its objects are not used',
    explains: 'The definitions in the cluster are too old. Install newer ones of the Gateway API.',
  },
  IST0177: {
    level: 'Warning',
    template:
      'the ServiceEntries {names} give port {port} of {host} different protocols ({protocols}): only one is used',
    explains: 'A port of a host has one protocol. Let the ServiceEntries agree on it.',
  },
  'patch-refused': {
    level: 'Error',
    template: 'the patch is left out, as Envoy would refuse what comes out of {resource}: {reason}',
    explains:
      'What the patch of an EnvoyFilter makes of a resource, Envoy would refuse as a whole. The proxies get the resource without the patch. The message says what is wrong. Found where proxies are known: in a running mesh, or where files hold workloads.',
  },
  'patch-unused': {
    level: 'Warning',
    template: 'the patch has no effect: no {applyTo} of the proxies it is for is matched',
    explains:
      'Some proxies get the patch of an EnvoyFilter, and in none of them is what it looks for. `seinectl render` shows the names that can be matched. Found where proxies are known: in a running mesh, or where files hold workloads.',
  },
} as const satisfies Readonly<Record<string, CodeDefinition>>

export type Code = keyof typeof codes

type Names<Template extends string> = Template extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Names<Rest>
  : never

/** What a code's message is completed with. */
export type Arguments<C extends Code> = Readonly<
  Record<Names<(typeof codes)[C]['template']>, string | number>
>

/** A code's message, complete. */
export function messageOf<C extends Code>(code: C, values: Arguments<C>): string {
  return codes[code].template.replace(/\{(\w+)\}/g, (_, name: string) =>
    String((values as Readonly<Record<string, string | number>>)[name]),
  )
}
