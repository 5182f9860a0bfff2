import type { Analyzer } from '../analyzer.ts'

/** Access logs that go nowhere (IST0157), and tracing providers of a kind that is no longer there (IST0002). */
export const telemetryProviders: Analyzer = {
  name: 'telemetry-providers',
  inputs: ['Telemetry', 'ConfigMap'],
  analyze(context, report) {
    const { logsByDefault, lightstepProviders } = context.meshConfig
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
