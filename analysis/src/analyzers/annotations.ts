import type { MeshResource } from '@seine/api'
import type { Analyzer } from '../analyzer.ts'
import { annotations, isIstioAnnotation } from '../annotation-table.ts'
import type { Path, Report } from '../finding.ts'

/** Annotations that nobody reads (IST0107, IST0108), deprecated ones (IST0135) and wrong values (IST0125). */
export const istioAnnotations: Analyzer = {
  name: 'istio-annotations',
  inputs: ['Namespace', 'Service', 'Pod', 'Deployment'],
  analyze(context, report) {
    for (const kind of ['Namespace', 'Service', 'Pod', 'Deployment'] as const)
      for (const resource of context.all(kind)) {
        const { metadata } = resource
        check(resource, kind, metadata.annotations, metadata.labels, ['metadata', 'annotations'], report)
      }
    for (const deployment of context.all('Deployment')) {
      const { annotations: ofPods, labels } = deployment.spec.template.metadata ?? {}
      const path = ['spec', 'template', 'metadata', 'annotations']
      check(deployment, 'Pod', ofPods ?? {}, labels ?? {}, path, report)
    }
  },
}

type Labels = Readonly<Record<string, string>>

/** @param kind the kind that the annotations are about: a template's are about pods. */
function check(
  resource: MeshResource,
  kind: string,
  given: Labels,
  labels: Labels,
  base: Path,
  report: Report,
): void {
  for (const [annotation, value] of Object.entries(given)) {
    if (!isIstioAnnotation(annotation)) continue
    const path = [...base, annotation]
    const definition = annotations[annotation]
    if (!definition) {
      report(resource, 'IST0108', path, { annotation })
      continue
    }
    const { deprecated, on, problem } = definition
    // Whoever has the label of the same name too knows, and keeps the annotation for older versions.
    if (deprecated !== undefined && !(annotation in labels))
      report(resource, 'IST0135', path, { annotation, instead: deprecated && `: ${deprecated}` })
    if (!on.includes('Any') && !on.includes(kind)) {
      report(resource, 'IST0107', path, { annotation, kinds: on.join(', ') })
      continue
    }
    const wrong = problem?.(value)
    if (wrong) report(resource, 'IST0125', path, { annotation, problem: wrong })
  }
}
