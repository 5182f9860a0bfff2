import { fromBinary, type JsonObject, type Message, toJson } from '@bufbuild/protobuf'
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt'
import { envoyRegistry } from './any.ts'

/** What a filter is part of. */
export type FilterKind = 'http' | 'network' | 'listener'

/** Whose messages are not in a package named after what they filter. */
const ELSEWHERE: Readonly<Record<string, FilterKind>> = {
  'envoy.extensions.common.matching.v3.ExtensionWithMatcher': 'http',
}
const FILTER_PACKAGE = /^envoy\.extensions\.filters\.(http|network|listener)\./
/** What a filter's configuration may be written in where its own message is not at hand. */
const TYPED_STRUCTS: ReadonlySet<string> = new Set(['udpa.type.v1.TypedStruct', 'xds.type.v3.TypedStruct'])

/**
 * Which kind of filter the message of a type configures; undefined where it is none of them. `type` is its name, or a
 * type URL.
 */
export function filterKindOf(type: string): FilterKind | undefined {
  const name = type.slice(type.lastIndexOf('/') + 1)
  return ELSEWHERE[name] ?? (FILTER_PACKAGE.exec(name)?.[1] as FilterKind | undefined)
}

/** The type of a configuration: the one that it stands for where it is written as a structure. */
export function configTypeOf(config: Any): string {
  const name = config.typeUrl.slice(config.typeUrl.lastIndexOf('/') + 1)
  if (!TYPED_STRUCTS.has(name)) return name
  const inner = anyUnpack(config, envoyRegistry()) as (Message & { typeUrl: string }) | undefined
  return inner ? inner.typeUrl.slice(inner.typeUrl.lastIndexOf('/') + 1) : name
}

/** A filter that answers or passes on, which nothing comes after: by its type, or by what its configuration says. */
const ENDS: ReadonlySet<string> = new Set([
  'envoy.extensions.filters.http.router.v3.Router',
  'envoy.extensions.filters.http.mcp_router.v3.McpRouter',
  'envoy.extensions.filters.network.direct_response.v3.Config',
  'envoy.extensions.filters.network.dubbo_proxy.v3.DubboProxy',
  'envoy.extensions.filters.network.echo.v3.Echo',
  'envoy.extensions.filters.network.generic_proxy.v3.GenericProxy',
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
  'envoy.extensions.filters.network.redis_proxy.v3.RedisProxy',
  'envoy.extensions.filters.network.reverse_tunnel.v3.DrainAwareHttpConnectionManager',
  'envoy.extensions.filters.network.reverse_tunnel.v3.ReverseTunnel',
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
  'envoy.extensions.filters.network.thrift_proxy.v3.ThriftProxy',
])
const SAY_THEMSELVES: ReadonlySet<string> = new Set([
  'envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter',
  'envoy.extensions.filters.network.dynamic_modules.v3.DynamicModuleNetworkFilter',
])

/** Whether a filter of this configuration ends its chain: it has to be the last one, and the last one has to be such. */
export function endsChain(config: Any): boolean {
  const type = configTypeOf(config)
  if (ENDS.has(type)) return true
  const schema = SAY_THEMSELVES.has(type) ? envoyRegistry().getMessage(type) : undefined
  if (!schema || !config.typeUrl.endsWith(type)) return false
  const json = toJson(schema, fromBinary(schema, config.value), { registry: envoyRegistry() })
  return (json as { terminalFilter?: boolean }).terminalFilter === true
}

/** The JSON that a message holds for another one, and that one's type; undefined for any other message. */
export function typedStruct(
  message: Message,
): { readonly type: string; readonly value: JsonObject } | undefined {
  if (!TYPED_STRUCTS.has(message.$typeName)) return undefined
  const { typeUrl, value = {} } = message as Message & { typeUrl: string; value?: JsonObject }
  return { type: typeUrl.slice(typeUrl.lastIndexOf('/') + 1), value }
}
