import type { Analyzer } from '../analyzer.ts'

/**
 * Access logs that go nowhere (IST0157), tracing providers of a kind that is no longer there (IST0002), and services that
 * are to get spans or access logs and are not there (IST0101).
 */
export const telemetryProviders: Analyzer = {
  name: 'telemetry-providers',
  inputs: ['Telemetry', 'ConfigMap', 'Service', 'ServiceEntry'],
  analyze(context, report) {
    const { logsByDefault, lightstepProviders } = context.meshConfig
    for (const { resource, provider, host, port } of context.meshConfig.calledServices) {
      const known = context.hosts.find(host, resource.metadata.namespace, ['*'])
      if (!known)
        report(resource, 'IST0101', ['data', 'mesh'], {
          what: 'host',
          name: `${host} of the provider ${provider}`,
        })
      else if (!known.ports.includes(port))
        report(resource, 'IST0101', ['data', 'mesh'], {
          what: 'port',
          name: `${port} of ${host}, of the provider ${provider}`,
        })
    }
    for (const telemetry of context.all('Telemetry')) {
      for (const [index, { disabled, providers }] of (telemetry.spec.accessLogging ?? []).entries())
        if (!logsByDefault && !disabled && !providers?.length)
          report(telemetry, 'IST0157', ['spec', 'accessLogging', index], {})
      for (const [index, { providers }] of (telemetry.spec.tracing ?? []).entries())
        for (const [at, { name }] of (providers ?? []).entries())
          if (lightstepProviders.includes(name))
            report(telemetry, 'IST0002', ['spec', 'tracing', index, 'providers', at, 'name'], {
              what: `the Lightstep provider ${name}`,
              instead: 'use an OpenTelemetry provider',
            })
    }
  },
}
