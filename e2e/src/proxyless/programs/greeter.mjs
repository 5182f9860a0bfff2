/** The demo's service, without a file of its own: messages are JSON. */
const json = {
  serialize: value => Buffer.from(JSON.stringify(value)),
  deserialize: bytes => JSON.parse(bytes.toString()),
}

function unary(path) {
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: json.serialize,
    requestDeserialize: json.deserialize,
    responseSerialize: json.serialize,
    responseDeserialize: json.deserialize,
  }
}

/** Methods by their names. */
export const GREETER = {
  SayHello: unary('/hello.Greeter/SayHello'),
  Secret: unary('/hello.Greeter/Secret'),
}
