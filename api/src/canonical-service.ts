/** Istio's canonical service and revision of a workload, by its labels; `fallback` for a service that they do not name. */
export function canonicalService(
  labels: Readonly<Record<string, string>>,
  fallback: string,
): { app: string; version: string } {
  return {
    app:
      labels['service.istio.io/canonical-name'] ??
      labels['app.kubernetes.io/name'] ??
      labels['app'] ??
      fallback,
    version:
      labels['service.istio.io/canonical-revision'] ??
      labels['app.kubernetes.io/version'] ??
      labels['version'] ??
      'latest',
  }
}
