import { describe, expect, it } from 'vitest'
import { isHttp, isHttp2, type Protocol, portProtocol } from './protocol.ts'

describe('the protocol of a port', () => {
  it.each<[name: string | undefined, appProtocol: string | undefined, port: number, protocol: Protocol]>([
    ['http', undefined, 80, 'http'],
    ['http-web', undefined, 80, 'http'],
    ['HTTP2-web', undefined, 80, 'http2'],
    ['h2c', undefined, 80, 'http2'],
    ['grpc', undefined, 80, 'grpc'],
    ['grpc-web', undefined, 80, 'grpc-web'],
    ['grpc-web-shop', undefined, 80, 'grpc-web'],
    ['grpc-website', undefined, 80, 'grpc-web'],
    ['https-web', undefined, 443, 'https'],
    ['tls', undefined, 443, 'tls'],
    ['tcp-db', undefined, 80, 'tcp'],
    ['mysql', undefined, 80, 'tcp'],
    ['mongo-db', undefined, 80, 'tcp'],
    ['redis', undefined, 80, 'tcp'],
    ['web', undefined, 80, 'auto'],
    ['httpweb', undefined, 80, 'auto'],
    [undefined, undefined, 80, 'auto'],
    // Nothing can be detected where the server speaks first.
    ['mail', undefined, 25, 'tcp'],
    ['names', undefined, 53, 'tcp'],
    ['rows', undefined, 3306, 'tcp'],
    ['documents', undefined, 27017, 'tcp'],
    ['http', undefined, 3306, 'http'],
    // `appProtocol` comes first, and a word of nobody's leaves it to be detected.
    ['tcp', 'http', 80, 'http'],
    ['tcp', 'HTTP', 80, 'http'],
    ['tcp', 'https', 80, 'https'],
    ['tcp', 'grpc-web', 80, 'grpc-web'],
    ['http', 'kafka', 80, 'auto'],
    ['http', 'kafka', 3306, 'tcp'],
    ['tcp', 'kubernetes.io/h2c', 80, 'http2'],
    ['tcp', 'kubernetes.io/ws', 80, 'http'],
    ['tcp', 'kubernetes.io/wss', 80, 'https'],
    ['http', '', 80, 'http'],
  ])('with the name %s and the appProtocol %s, %i, is %4$s', (name, appProtocol, port, protocol) => {
    expect(portProtocol(name, appProtocol, port)).toBe(protocol)
  })

  it('decides whether requests are routed, and by which HTTP a server is called', () => {
    const all: Protocol[] = ['http', 'http2', 'grpc', 'grpc-web', 'https', 'tls', 'tcp', 'auto']
    expect(all.filter(isHttp)).toEqual(['http', 'http2', 'grpc', 'grpc-web', 'auto'])
    expect(all.filter(isHttp2)).toEqual(['http2', 'grpc', 'grpc-web'])
  })
})
