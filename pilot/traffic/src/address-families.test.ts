import type { Endpoint, MeshService, ServiceEndpoints } from '@seine/model'
import { describe, expect, it } from 'vitest'
import {
  type AddressFamilies,
  familiesOf,
  ownSources,
  reachableEndpoints,
  reachableService,
  wildcards,
} from './address-families.ts'

it.each<[AddressFamilies, readonly string[]]>([
  ['ipv4', ['10.0.0.1']],
  ['ipv4', []],
  ['ipv6', ['fd00::1']],
  ['dual', ['fd00::1', '10.0.0.1']],
])('a proxy is %s with the addresses %s', (families, addresses) => {
  expect(familiesOf(addresses)).toBe(families)
})

it('a proxy of both families listens and calls by both, IPv4 first', () => {
  expect(wildcards('dual')).toEqual(['0.0.0.0', '::'])
  expect(ownSources('dual')).toEqual(['127.0.0.6', '::6'])
  expect(wildcards('ipv6')).toEqual(['::'])
})

describe('what a client can reach', () => {
  const service = {
    addresses: ['10.96.0.1', 'fd00:96::1', '10.0.0.0/8'],
    lookupAddresses: ['240.240.0.1', '2001:2::f0f0:1'],
  } as unknown as MeshService
  const endpoint = (address: string, ...additionalAddresses: string[]) =>
    ({ address, additionalAddresses, port: 80 }) as unknown as Endpoint
  const both = endpoint('fd00::1', '10.0.0.1')
  const four = endpoint('10.0.0.2')
  const name = endpoint('six.example.com')
  const endpoints = { byPort: new Map([[80, [both, four, name]]]) } as unknown as ServiceEndpoints
  const shown = (families: AddressFamilies) =>
    reachableEndpoints(endpoints, families)
      .byPort.get(80)
      ?.map(({ address, additionalAddresses }) => [address, ...additionalAddresses].join())

  it('are the addresses of its families', () => {
    expect(reachableService(service, 'ipv4').addresses).toEqual(['10.96.0.1', '10.0.0.0/8'])
    expect(reachableService(service, 'ipv6').addresses).toEqual(['fd00:96::1'])
    expect(reachableService(service, 'ipv6').lookupAddresses).toEqual(['2001:2::f0f0:1'])
    expect(shown('ipv4')).toEqual(['10.0.0.1', '10.0.0.2', 'six.example.com'])
    expect(shown('ipv6')).toEqual(['fd00::1', 'six.example.com'])
    expect(shown('dual')).toEqual(['fd00::1,10.0.0.1', '10.0.0.2', 'six.example.com'])
  })

  it('is one object each time, and the given one where nothing is left out', () => {
    expect(reachableService(service, 'dual')).toBe(service)
    expect(reachableService(service, 'ipv4')).toBe(reachableService(service, 'ipv4'))
    expect(reachableEndpoints(endpoints, 'ipv6')).toBe(reachableEndpoints(endpoints, 'ipv6'))
    const plain = { ...endpoints, byPort: new Map([[80, [four]]]) }
    expect(reachableEndpoints(plain, 'ipv4')).toBe(plain)
  })
})
