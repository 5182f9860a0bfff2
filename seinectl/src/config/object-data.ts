import { type MeshResource, toObject } from '@seine/api'

/** Whether two objects say the same, whatever their layout. */
export function sameObject(a: MeshResource, b: MeshResource): boolean {
  return JSON.stringify(canonical(toObject(a))) === JSON.stringify(canonical(toObject(b)))
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, inner]) => [key, canonical(inner)]))
}
