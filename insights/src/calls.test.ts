import { describe, expect, it } from 'vitest'
import { callId, callOf, isBroken, type Labels, reached, responseClass } from './calls.ts'

describe('responseClass', () => {
  const http = (code: string) => responseClass({ response_code: code, grpc_response_status: '' })
  const grpc = (status: string) => responseClass({ response_code: '200', grpc_response_status: status })

  it('is the class of the status, and none for a request without an answer', () => {
    expect(['101', '204', '302', '404', '503', '0', ''].map(http)).toEqual([
      '1xx',
      '2xx',
      '3xx',
      '4xx',
      '5xx',
      'none',
      'none',
    ])
  })

  it('is for gRPC the class of what its status stands for', () => {
    expect(['0', '5', '7', '8', '4', '13', '14', '99'].map(grpc)).toEqual([
      '2xx',
      '4xx',
      '4xx',
      '4xx',
      '5xx',
      '5xx',
      '5xx',
      '5xx',
    ])
    expect(responseClass({ response_code: '503', grpc_response_status: '14' })).toBe('5xx')
  })
})

describe('callOf', () => {
  const labels: Labels = {
    reporter: 'source',
    source_canonical_service: 'web',
    destination_workload: 'details-v1',
    destination_principal: '-',
    destination_service: 'details.default.svc.cluster.local',
    response_flags: '-',
    connection_security_policy: 'unknown',
  }
  const source = (more: Labels) => callOf({ ...labels, ...more }).security
  const destination = (policy: string) =>
    callOf({ reporter: 'destination', connection_security_policy: policy }).security

  it('takes the receiver at its word, and the caller by the certificate that it was shown', () => {
    expect(['mutual_tls', 'none', 'unknown', ''].map(destination)).toEqual([
      'mutual_tls',
      'none',
      'unknown',
      'unknown',
    ])
    expect(source({ destination_principal: 'spiffe://cluster.local/ns/default/sa/details' })).toBe(
      'mutual_tls',
    )
    expect(source({})).toBe('none')
    expect(source({ response_flags: 'DC' })).toBe('none')
    expect(source({ response_flags: 'UF' })).toBe('unknown')
    expect(source({ destination_workload: 'unknown' })).toBe('unknown')
  })

  it('calls what is not known unknown, however the sidecar writes it', () => {
    const call = callOf({ ...labels, source_workload: '-', source_workload_namespace: '' })
    expect([call.sourceWorkload, call.sourceNamespace, call.destinationVersion]).toEqual([
      'unknown',
      'unknown',
      'unknown',
    ])
  })

  it('names calls to no service after the way they took', () => {
    const call = { ...labels, destination_service: 'unknown', destination_service_name: 'PassthroughCluster' }
    expect(callOf(call).destinationService).toBe('PassthroughCluster')
  })

  it('tells calls apart by everything but what they came to', () => {
    const id = (more: Labels) => callId(callOf({ ...labels, ...more }))
    expect(id({ response_code: '503' })).toBe(id({ response_code: '200' }))
    expect(id({ destination_version: 'v2' })).not.toBe(id({}))
    expect(id({ source_workload: 'a', source_workload_namespace: 'b' })).not.toBe(
      id({ source_workload: 'b', source_workload_namespace: 'a' }),
    )
  })
})

describe('the end of a connection', () => {
  it('is told from its flags', () => {
    const ends = ['-', 'DC', 'UF,URX', 'UH', 'UC', 'SI'].map(flags => ({ response_flags: flags }))
    expect(ends.map(isBroken)).toEqual([false, false, true, true, true, false])
    expect(ends.map(reached)).toEqual([true, true, false, false, true, true])
  })
})
