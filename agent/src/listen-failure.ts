/** Why one of the sidecar's ports can't be listened on, and what that may mean. */
export function listenFailure(port: number, failure: NodeJS.ErrnoException): Error {
  const reason =
    failure.code === 'EADDRINUSE'
      ? 'it is taken: does another sidecar run in this network namespace, or the application use it?'
      : failure.message
  return new Error(`can't listen on port ${port}: ${reason}`, { cause: failure })
}
