#!/usr/bin/env bash
# Says in one line each what is missing before anything is installed. Runs before Node is known to be usable.
set -euo pipefail

missing=0
need() {
  echo "missing: $1" >&2
  missing=1
}

node_major=$(node --version 2>/dev/null | sed -E 's/^v([0-9]+).*/\1/' || true)
[ "${node_major:-0}" -ge 20 ] || need "Node.js 20 or newer (it installs the Node 24 of package.json): https://nodejs.org"
command -v npm >/dev/null || need "npm, which comes with Node.js"
command -v cargo >/dev/null || need "cargo (Rust 1.88 or newer) for the transport addon: https://rustup.rs"
command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || need "a C compiler (cc) for the addon's TLS"
[ "$missing" -eq 0 ] || exit 2
