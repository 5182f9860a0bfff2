import { any } from '@seine/envoy'
import type {
  FilterStateValueSchema,
  FilterStateValue_SharedWithUpstream as SharedWithUpstream,
} from '@seine/envoy/envoy/extensions/filters/common/set_filter_state/v3/value'
import { ConfigSchema as SetFilterStateSchema } from '@seine/envoy/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state'
import { CelSchema } from '@seine/envoy/envoy/extensions/formatter/cel/v3/cel'
import type { Init } from './init.ts'
import type { NetworkFilterInit } from './plugin.ts'

export type StateInit = Init<typeof FilterStateValueSchema>
type Format = StateInit['value'] & object

/** A value of the state in Envoy's format, without expressions. */
export function formatted(inlineString: string): Format {
  const value = { format: textSource(inlineString) }
  return { case: 'formatString', value }
}

/** The same of a format that may hold `%CEL(…)%`, functions of texts included. */
export function celFormatted(inlineString: string): Format {
  const formatter = {
    name: 'cel',
    typedConfig: any(CelSchema, { celConfig: { enableStringFunctions: true } }),
  }
  return { case: 'formatString', value: { format: textSource(inlineString), formatters: [formatter] } }
}

function textSource(inlineString: string) {
  return {
    case: 'textFormatSource' as const,
    value: { specifier: { case: 'inlineString' as const, value: inlineString } },
  }
}

/** An object of the state of a connection or a request, by its name. */
export function stateObject(name: string, value: Format, sharedWithUpstream?: SharedWithUpstream): StateInit {
  return {
    key: { case: 'objectKey', value: name },
    value,
    ...(sharedWithUpstream === undefined ? {} : { sharedWithUpstream }),
  }
}

/** The network filter that sets an object of each connection's state. */
export function onNewConnection(object: StateInit): NetworkFilterInit {
  const config = any(SetFilterStateSchema, { onNewConnection: [object] })
  return {
    name: 'envoy.filters.network.set_filter_state',
    configType: { case: 'typedConfig', value: config },
  }
}
