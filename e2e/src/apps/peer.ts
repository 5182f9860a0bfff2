// The program in every pod of the tests: a server that says what reached it, and a client that calls what it is told to.
import { serveControl } from './control.ts'
import { serveHttp } from './http-server.ts'
import { serveHttp2 } from './http2.ts'
import { PeerPort } from './protocol.ts'
import { PeerState } from './state.ts'
import { serveTcp } from './tcp.ts'

const state = new PeerState()
serveHttp(PeerPort.http, state)
serveHttp(PeerPort.detected, state)
serveHttp2(PeerPort.grpc, state)
serveTcp(PeerPort.tcp)
serveControl(PeerPort.control, state)

// As a container's first process it has no default action for signals.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(0))
