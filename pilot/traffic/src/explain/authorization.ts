import type { CidrRange } from '@seine/envoy/envoy/config/core/v3/address'
import {
  RBAC_Action as Action,
  type Permission,
  type Principal,
  type RBAC,
} from '@seine/envoy/envoy/config/rbac/v3/rbac'
import { inRange } from './addresses.ts'
import type { ConnectionFacts } from './listeners.ts'
import { headerMatches, stringMatches } from './match-values.ts'
import { type HttpRequest, normalizedPath, type Peer } from './request.ts'

/** What a policy can look at. `request` is absent where only a connection is known. */
export interface Subject {
  readonly peer: Peer
  readonly facts: ConnectionFacts
  readonly request: HttpRequest | undefined
}

/** Whether one RBAC filter lets something pass, and the name of the rule that decided; without one, none matched. */
export interface Judgement {
  readonly allowed: boolean
  readonly rule: string | undefined
}

/** Judges as Envoy's RBAC filter does: a DENY refuses what a rule matches, an ALLOW what none does. */
export function judge(rules: RBAC, subject: Subject): Judgement {
  const rule = Object.entries(rules.policies).find(
    ([, policy]) =>
      policy.principals.some(principal => principalHolds(principal, subject)) &&
      policy.permissions.some(permission => permissionHolds(permission, subject)),
  )?.[0]
  return { allowed: rules.action === Action.DENY ? rule === undefined : rule !== undefined, rule }
}

function principalHolds({ identifier }: Principal, subject: Subject): boolean {
  switch (identifier.case) {
    case 'any':
      return identifier.value
    case 'andIds':
      return identifier.value.ids.every(one => principalHolds(one, subject))
    case 'orIds':
      return identifier.value.ids.some(one => principalHolds(one, subject))
    case 'notId':
      return !principalHolds(identifier.value, subject)
    case 'authenticated': {
      const { identity } = subject.peer
      const wanted = identifier.value.principalName
      return identity !== undefined && (wanted === undefined || stringMatches(wanted, identity))
    }
    case 'directRemoteIp':
    case 'remoteIp':
    case 'sourceIp':
      return rangeHolds(identifier.value, subject.peer.address)
    case 'header':
      return subject.request !== undefined && headerMatches(identifier.value, subject.request)
    default:
      return false
  }
}

function permissionHolds({ rule }: Permission, subject: Subject): boolean {
  switch (rule.case) {
    case 'any':
      return rule.value
    case 'andRules':
      return rule.value.rules.every(one => permissionHolds(one, subject))
    case 'orRules':
      return rule.value.rules.some(one => permissionHolds(one, subject))
    case 'notRule':
      return !permissionHolds(rule.value, subject)
    case 'header':
      return subject.request !== undefined && headerMatches(rule.value, subject.request)
    case 'urlPath': {
      const matcher = rule.value.rule.case === 'path' ? rule.value.rule.value : undefined
      return (
        subject.request !== undefined &&
        matcher !== undefined &&
        stringMatches(matcher, normalizedPath(subject.request))
      )
    }
    case 'destinationPort':
      return rule.value === subject.facts.destinationPort
    case 'destinationIp':
      return rangeHolds(rule.value, subject.facts.destinationAddress)
    case 'requestedServerName':
      return stringMatches(rule.value, subject.facts.serverName)
    default:
      return false
  }
}

function rangeHolds({ addressPrefix, prefixLen }: CidrRange, address: string): boolean {
  return inRange(address, addressPrefix, prefixLen ?? 0)
}
