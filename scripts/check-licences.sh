#!/usr/bin/env bash
# Holds all dependencies to deny.toml: licences, sources and second versions, offline; advisories too where cargo-deny
# and its database are to be had.
set -euo pipefail
source "$(dirname "$0")/env.sh"
cd "$ROOT"

if command -v cargo-deny >/dev/null; then
  cargo deny check licenses bans sources
  if timeout 60 cargo deny fetch db >/dev/null 2>&1; then
    cargo deny check --disable-fetch advisories
  else
    say "SKIPPED: advisories, because their database cannot be reached"
  fi
  exit 0
fi
say "cargo-deny is not installed: reading cargo metadata instead. SKIPPED: advisories (cargo install cargo-deny)"
# The metadata also lists packages that no feature switches on; the tree does not.
TREE=$(mktemp)
trap 'rm -f "$TREE"' EXIT
cargo tree --locked --all-features --edges normal,build --prefix none --format '{p}' >"$TREE"
cargo metadata --format-version 1 --locked | node scripts/check-licences.mjs deny.toml "$TREE"
