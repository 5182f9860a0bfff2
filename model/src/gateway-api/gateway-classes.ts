import { bad, condition, good, type Verdict } from './conditions.ts'
import type { Query } from './incremental.ts'
import { objectOf } from './inputs.ts'
import { parseKey } from './objects.ts'
import type { Status } from './status.ts'

/** The controller that Seine is; a GatewayClass names it. */
export const CONTROLLER_NAME = 'seine.dev/gateway-controller'
/** Istio's own: manifests that name it need no change. */
const CONTROLLER_ALIASES: readonly string[] = [CONTROLLER_NAME, 'istio.io/gateway-controller']
/** Classes that are there without an object that says so. */
const BUILT_IN: readonly string[] = ['seine', 'istio']

/** Whether a class is Seine's. */
export interface ClassFacts {
  readonly isOurs: boolean
  readonly isKnown: boolean
  readonly accepted: Verdict
}

/** What a GatewayClass, by name, is to Seine. */
export const gatewayClass: Query<ClassFacts> = {
  name: 'class',
  compute(name, read) {
    const written = objectOf(read, 'GatewayClass', '', name)
    const accepted = good('Accepted', 'Seine serves the gateways of this class')
    if (!written) {
      const isBuiltIn = BUILT_IN.includes(name)
      return { isOurs: isBuiltIn, isKnown: isBuiltIn, accepted }
    }
    const isOurs = CONTROLLER_ALIASES.includes(written.spec.controllerName)
    const { parametersRef } = written.spec
    return {
      isOurs,
      isKnown: true,
      accepted: parametersRef
        ? bad(
            'InvalidParameters',
            `${parametersRef.kind} ${parametersRef.name} is no kind of parameters that is known here: leave parametersRef out`,
            'spec.parametersRef',
          )
        : accepted,
    }
  },
}

/** The status of a GatewayClass, by its key; undefined for those of others. */
export const gatewayClassStatus: Query<Status | undefined> = {
  name: 'classStatus',
  compute(key, read) {
    const { name } = parseKey(key)
    const written = objectOf(read, 'GatewayClass', '', name)
    const { isOurs, accepted } = read.ask(gatewayClass, name)
    if (!written || !isOurs) return undefined
    const { generation } = written.metadata
    return {
      body: {
        conditions: [
          condition('Accepted', accepted, generation),
          condition(
            'SupportedVersion',
            good('SupportedVersion', "this version of the Gateway API's definitions is supported"),
            generation,
          ),
        ],
      },
      findings: accepted.ok ? [] : [accepted],
    }
  },
}
