import type { LabelSelector } from '@seine/api'

export type Labels = Readonly<Record<string, string>>

/** Whether the labels hold all of the selector's; an empty selector holds for everything. */
export function holds(selector: Labels | undefined, labels: Labels): boolean {
  return Object.entries(selector ?? {}).every(([name, value]) => labels[name] === value)
}

/** Kubernetes' selector with expressions; without one, everything is selected. */
export function selectedBy(selector: LabelSelector | undefined, labels: Labels): boolean {
  if (!holds(selector?.matchLabels, labels)) return false
  return (selector?.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key]
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value)
      case 'NotIn':
        return value === undefined || !values.includes(value)
      case 'Exists':
        return value !== undefined
      case 'DoesNotExist':
        return value === undefined
      default:
        return operator satisfies never
    }
  })
}

/** `app=reviews,version=v1`, by name. */
export function labelText(labels: Labels | undefined): string {
  return Object.entries(labels ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join(',')
}
