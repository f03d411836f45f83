#!/usr/bin/env bash
# Says in one line each what is missing before anything is installed. Runs before Node is known to be usable.
set -euo pipefail

missing=0
want() {
  echo "warning: not here: $1" >&2
}
need() {
  echo "missing: $1" >&2
  missing=1
}

node_major=$(node --version 2>/dev/null | sed -E 's/^v([0-9]+).*/\1/' || true)
[ "${node_major:-0}" -ge 20 ] || need "Node.js 20 or newer (it installs the Node 24 of package.json): https://nodejs.org"
command -v npm >/dev/null || need "npm, which comes with Node.js"
# Without the addon a transport for development serves.
command -v cargo >/dev/null || want "cargo (Rust 1.88 or newer) for the production transport: https://rustup.rs"
command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || want "a C compiler (cc) for its TLS"
[ "$missing" -eq 0 ] || exit 2
