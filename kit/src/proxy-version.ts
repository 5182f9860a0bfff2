/** What an agent says of its version, `ISTIO_VERSION` in the node's metadata: the Istio whose APIs this release follows. */
export const PROXY_VERSION = '1.31-seine'
