// The codes of problems with configuration and with the mesh, and what to do about each.
import { code, NOTICE, table } from './markdown.mjs'
import { describe, productSources } from './sources.mjs'

/** Code → what it means, and what to do. */
const CODES = {
  IST0101: [
    'A route sends to a host, subset or port that does not exist. The last good version of the VirtualService stays in force, and the new one comes into force when what it names is there.',
    'Correct the name, or add the Service, ServiceEntry or DestinationRule subset.',
  ],
  IST0106: [
    'An object does not fit its schema: a field that does not exist, a value of the wrong type or out of its range.',
    'The message names the field, and what is near in spelling. See the [reference](configuration.md).',
  ],
  IST0108: [
    'A pod has an annotation about its sidecar that nothing here honours. It gets no sidecar.',
    'Remove it. Those that are honoured are [listed](ports-and-files.md#labels-and-annotations).',
  ],
  IST0109: [
    'Two VirtualServices of a namespace claim one host. The one that was there first is used; of those that were there from the start, the first by name.',
    'Remove one, or merge their routes into one.',
  ],
  IST0125: [
    'An annotation of a pod can not be read. The pod gets no sidecar.',
    'The message says what is wanted; several values are separated by commas.',
  ],
  IST0133: [
    "An object fits its schema, and Istio's validation warns of something in it: a field without effect, or a deprecated one.",
    'The message says what.',
  ],
  'canary-under-way': [
    'A version of an object that only some proxies get so far. Nothing is wrong with that.',
    'It is promoted or taken back by the `seinectl apply --canary` that began it. See [try a change](../tasks/try-a-change.md).',
  ],
  'certificate-expired': [
    "A workload's certificate has ended. Its calls by mutual TLS fail.",
    "The agent's log says why it got no new one: most often its token, or citadel does not answer.",
  ],
  'certificate-expiring': [
    "A workload's certificate should have been renewed by now.",
    "The agent's log says why it was not.",
  ],
  'delegate-conflict': [
    'A route of a delegate matches nothing that the route which delegates to it is for: it is left out.',
    'Let its match be within the other one. Of two regular expressions nobody can tell.',
  ],
  'duplicate-resource': [
    'The same object (kind, namespace, name) is written twice. The one that was there first counts; when both are read at once, the first in the order of files.',
    'Remove one of the two.',
  ],
  'envoy-binary': [
    'Envoy was not found, could not be installed, or is not the release that Seine needs.',
    'The message says which. `$SEINE_ENVOY` names a binary; unset, Seine installs one.',
  ],
  'envoy-crashed': [
    'An Envoy ended unexpectedly and was started again by its agent.',
    "The agent's log holds the last lines that Envoy wrote.",
  ],
  'file-not-found': ['A file or folder that was named is not there.', 'Correct the path.'],
  'file-too-large': ['A file holds more than 16 MiB.', 'Split it.'],
  'file-unreadable': [
    'The system does not let the process read a file. Its last good content stays in force.',
    'Look at its permissions.',
  ],
  'folder-missing': [
    'A configuration folder is not there. It is read when it appears.',
    'Create it, or correct `--config`.',
  ],
  'host-collision': [
    'Two services claim one host, or two DestinationRules one. The one that was there first is used; of those that were there from the start, the first by name.',
    'Remove one, or give them different hosts.',
  ],
  'ignored-kind': [
    'A Kubernetes kind that means nothing to the mesh; it is left alone.',
    'Nothing. Keep it out of the folder if the warning bothers.',
  ],
  'mesh-config': [
    'The settings of the mesh can not be read, and the last good ones stay in force. Or, as a warning, some of them have no effect.',
    'See [settings of the mesh](configuration/mesh-config.md).',
  ],
  'mesh-networks': [
    'The networks of the mesh can not be read. The last good ones stay in force.',
    'See [networks of the mesh](configuration/mesh-networks.md).',
  ],
  'metrics-unreadable': [
    'The hub can not read the metrics of a sidecar: its figures are missing in graphs and lists.',
    'The message says why. The hub must reach port 15020 of the pod.',
  ],
  'mirror-to-dynamic-dns': [
    'Requests are to be mirrored to a service whose names are looked up by what requests ask for: the copies ask for a name of nobody. The last good version of the VirtualService stays in force.',
    'Write a ServiceEntry with resolution DNS for the host that is to get the copies.',
  ],
  'namespace-conflict': [
    '`seinectl apply -n` names another namespace than the object does.',
    'Leave one of the two out.',
  ],
  'network-gateway': [
    'A Service that is to be the gateway of a network has no address that other networks could call, or not the port. What is in the network is called as if it had no such gateway.',
    'The message says what it lacks. See [several networks](../tasks/networks.md).',
  ],
  'no-certificate': [
    "A workload's agent has got no certificate yet. It takes no calls.",
    "The message, or the agent's log, says why.",
  ],
  'not-in-force': [
    '`seinectl explain` answers from a running mesh in which something else is in force than a file says, or nothing.',
    'The message says why. What it is, `seinectl get` and the dashboard say with the code of the cause.',
  ],
  'not-ready': [
    'A workload is not ready and gets no calls.',
    'The message says what its sidecar waits for, where it is the sidecar.',
  ],
  'patch-refused': [
    'Envoy would refuse what the patch of an EnvoyFilter makes of a resource: proxies get the resource without it.',
    'The message says what is wrong with which resource. See [EnvoyFilter](../tasks/envoy-filter.md#a-patch-that-envoy-would-refuse).',
  ],
  'patch-unused': [
    'Some proxies get the patch of an EnvoyFilter, and in none of them is what it looks for: it has no effect.',
    '`seinectl render` shows the names that can be matched. See [EnvoyFilter](../tasks/envoy-filter.md).',
  ],
  'pilot-away': [
    'The hub runs by itself and pilot does not answer it. Traffic is shown as it is, proxies and problems as pilot told them last.',
    "The message says why. `--pilot` is the URL of pilot's HTTP port.",
  ],
  'proxy-not-connected': [
    'A sidecar is not connected to pilot. It goes on with what it has and gets no changes.',
    "The agent's log says why. It comes back by itself.",
  ],
  'proxy-user': [
    "A container runs as the proxy's user, 1337: what it sends would pass by the sidecar. The pod gets none.",
    'Give it another user.',
  ],
  'proxyless-differs': [
    'Applications whose own gRPC library is their proxy do what a rule says nearly: the message says how.',
    'Nothing, where that will do. See [proxyless gRPC](../tasks/proxyless-grpc.md#what-grpc-can-not-do).',
  ],
  'proxyless-unsupported': [
    'A rule that holds for an application whose own gRPC library is its proxy asks for what gRPC can not do. Sidecars do it.',
    'Leave it out where only such applications call, or give the client a sidecar. See [proxyless gRPC](../tasks/proxyless-grpc.md#what-grpc-can-not-do).',
  ],
  'proxyless-user': [
    'A pod that is to be its own proxy does not say as whom it runs, or as several: the key of its certificate is in a file of one user. The pod gets no agent.',
    'Give it, and all its containers, one `securityContext.runAsUser` that is not root.',
  ],
  'rejected-by-envoy': [
    'Envoy refused what came of a configuration that Seine took. It keeps what it had; everything else is sent.',
    "The message is Envoy's own, and names the object that the resource came from. See [debug a configuration](../tasks/debug-configuration.md#when-envoy-refuses).",
  ],
  'unreachable-endpoints': [
    'Clients of other networks do not get some endpoints of a service: the gateway of a network passes on mutual TLS between sidecars only, by its server name.',
    'Give the workloads sidecars, and the service an address of its own where it is headless. See [several networks](../tasks/networks.md).',
  ],
  'subset-in-use': [
    'A DestinationRule no longer has a subset that requests are routed to. Its last good version stays in force.',
    'Change the routes first, or write both at once.',
  ],
  'too-many-kinds-of-calls': [
    'There are more combinations of caller, called and labels than the hub keeps: some figures are missing.',
    'Use Prometheus for a mesh of that size.',
  ],
  'unknown-kind': [
    'There is no such kind, or not in that API version.',
    'The message names the kind that is nearest in spelling, or the versions there are.',
  ],
  unsupported: [
    'A field or value that belongs to the API and is not translated yet. The object is refused.',
    'Leave it out. The [reference](configuration.md) marks such fields.',
  ],
  'yaml-syntax': [
    'A document is not YAML. The other documents of the file are read; what the broken one last held stays in force.',
    'The position is where reading failed: the mistake is there or before.',
  ],
}

/** Codes of something else: why citadel refuses a request. */
const OTHER = new Set(['not-allowed'])

export async function problemPages(root) {
  const { codes } = await import(`${root}/analysis/dist/codes.js`)
  const CODE = /'(IST\d{4}|unsupported|[a-z]+(?:-[a-z]+)+)'/g
  const FORMS = [
    // code: 'yaml-syntax', or one of several
    /\bcode: [^\n]*/g,
    // fail('unknown-kind', …), problem('warning', 'not-ready', …), problemAt(rule, 'spec.host', 'host-collision', …)
    /\b(?:fail|problem|problemAt)\([\s\S]{0,120}/g,
    // const INVALID = 'IST0106'
    /^const [A-Z_]+ = 'IST\d{4}'$/gm,
  ]
  const found = new Set()
  for (const text of productSources(root).values())
    for (const form of FORMS)
      for (const [part] of text.matchAll(form))
        for (const [, word] of part.matchAll(CODE)) if (!OTHER.has(word)) found.add(word)
  const rows = describe(new Set([...found].sort()), CODES, 'tools/reference/problems.mjs').map(
    ([name, [meaning, remedy]]) => [code(name), meaning, remedy],
  )
  const text = `# Problems

${NOTICE}

A problem has a severity, a code, a message, and, where it has to do with configuration, the object, the field
and its place in the file. \`seinectl\` prints it, the dashboard lists it on its page *Problems*, the log of
\`seined\` has it once when it appears, and the hub answers \`GET /api/v1/problems\` with those that there are now.
An *error* keeps its object, or the part named, out of the mesh; a *warning* does not.

    reviews.yaml:12:5: error: VirtualService default/reviews: spec.http[0].timeOut: there is no field "timeOut" here: did you mean "timeout"? [IST0106]

Codes that begin with \`IST\` are those of Istio's analysis.

${table(['Code', 'Meaning', 'What to do'], rows)}

## Findings of analysis

\`seinectl analyze -f\` looks at files, \`seinectl analyze\` asks the running mesh, which looks at its configuration
whenever that changes. Findings keep nothing out of the mesh. An object with the annotation
\`galley.istio.io/analyze-suppress: IST0118,IST0132\` (or \`*\`) has none of these.

${table(['Code', 'Level', 'What is found'], Object.entries(codes).map(finding))}
`
  return [['problems.md', text]]
}

function finding([name, { level, explains }]) {
  return [code(name), level, explains]
}
