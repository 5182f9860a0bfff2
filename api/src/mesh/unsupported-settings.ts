/**
 * Settings of Istio's MeshConfig that nothing here does, by their paths (`[]` for an item of a list), and why not, or
 * what to write instead. Those that are in neither the schema nor this list are no settings of Istio's either.
 */
export const UNSUPPORTED_SETTINGS: Readonly<Record<string, string>> = {
  hboneIdleTimeout: 'there is no HBONE here: sidecars speak mutual TLS to each other',
  ingressClass: 'the kind Ingress is not read: use Gateway or the Gateway API',
  ingressService: 'the kind Ingress is not read: use Gateway or the Gateway API',
  ingressSelector: 'the kind Ingress is not read: use Gateway or the Gateway API',
  zoneAwareLbSetting:
    'a sidecar would have to know how many of its own kind there are in each zone: localityLbSetting prefers endpoints by place',
  inboundClusterStatName: 'statistics of single clusters are not kept: use the istio_ metrics',
  outboundClusterStatName: 'statistics of single clusters are not kept: use the istio_ metrics',
  serviceScopeConfigs: 'for ambient mode only, which is not here',
  ca: 'citadel signs: see seined',
  'meshMTLS.ecdhCurves': 'not supported for mutual TLS, in Istio neither: leave it out',
  serviceEntryVisibility: 'not supported: write exportTo into ServiceEntries, or defaultServiceExportTo here',
  'defaultConfig.sds.k8sSaJwtPath': 'the injector decides where files lie: leave it out',
  ...under('caCertificates[]', {
    spiffeBundleUrl: 'not supported: write the certificates, as pem',
    certSigners: 'only of Kubernetes: leave it out',
    trustDomains: 'what is trusted is trusted for all: leave it out',
  }),
  ...under('defaultConfig', {
    configPath: 'the injector decides where files lie: leave it out',
    binaryPath: 'the injector decides where files lie: leave it out',
    serviceCluster: 'workloads are called by their names: leave it out',
    discoveryRefreshDelay: 'deprecated: leave it out',
    zipkinAddress: 'spans go over OTLP: leave it out',
    statsdUdpAddress: 'metrics are for Prometheus: leave it out',
    envoyMetricsServiceAddress: 'metrics are for Prometheus: leave it out',
    availabilityZone: "deprecated: a node's labels tell where a pod is",
    customConfigFile: 'the agent writes the bootstrap: use an EnvoyFilter with applyTo BOOTSTRAP',
    statNameLength: 'deprecated: leave it out',
    proxyBootstrapTemplatePath: 'the agent writes the bootstrap: use an EnvoyFilter with applyTo BOOTSTRAP',
    envoyAccessLogService: 'access logs go to a file or to standard output: see accessLogFile',
    envoyMetricsService: 'metrics are for Prometheus: leave it out',
    extraStatTags: 'tags are not taken from the names of statistics here: leave it out',
    readinessProbe: 'for machines, whose WorkloadGroup has it here; of a pod its own probe counts',
    privateKeyProvider: 'not supported: keys are in the memory of Envoy',
    connectionSettings: 'not supported yet: write a DestinationRule, or an EnvoyFilter',
    'proxyHeaders.metadataExchangeHeaders':
      'no headers are exchanged here: certificates tell who called, so leave it out',
  }),
  ...under('defaultConfig.tracing', {
    lightstep: 'spans go over OTLP: leave it out',
    datadog: 'spans go over OTLP: leave it out',
    stackdriver: 'spans go over OTLP: leave it out',
    openCensusAgent: 'spans go over OTLP: leave it out',
    tlsSettings: 'spans go over OTLP in plaintext: leave it out',
  }),
}

function under(path: string, reasons: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(reasons).map(([name, reason]) => [`${path}.${name}`, reason]))
}
