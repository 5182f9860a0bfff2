/** More spans than one batch of a telemetry receiver holds. */
export const MAX_SPANS_PER_POST = 5000

const text = (maxLength: number) => ({ type: 'string', maxLength })

/** JSON Schema of the body of `POST /spans`: a list of spans as the hub keeps them. */
export const SPANS_SCHEMA = {
  type: 'array',
  maxItems: MAX_SPANS_PER_POST,
  items: {
    type: 'object',
    required: [
      'traceId',
      'spanId',
      'parentSpanId',
      'name',
      'kind',
      'startUs',
      'durationUs',
      'service',
      'error',
      'attributes',
    ],
    additionalProperties: false,
    properties: {
      traceId: { type: 'string', pattern: '^[0-9a-f]{32}$' },
      spanId: { type: 'string', pattern: '^[0-9a-f]{16}$' },
      parentSpanId: { type: 'string', pattern: '^([0-9a-f]{16})?$' },
      name: text(4096),
      kind: { enum: ['client', 'server', 'internal'] },
      startUs: { type: 'number', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
      durationUs: { type: 'number', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
      service: text(1024),
      error: { type: 'boolean' },
      attributes: { type: 'object', maxProperties: 128, additionalProperties: text(64 << 10) },
    },
  },
} as const
