#!/usr/bin/env bash
# Licences of all dependencies against deny.toml, offline; advisories too where cargo-deny
# and its database are to be had.
set -euo pipefail
source "$(dirname "$0")/env.sh"
cd "$ROOT"

if command -v cargo-deny >/dev/null; then
  cargo deny --all-features check licenses bans sources
  timeout 120 cargo deny check advisories || {
    code=$?
    [ "$code" = 124 ] || timeout 20 cargo deny fetch >/dev/null 2>&1 && exit "$code"
    say "SKIPPED: the advisory database cannot be reached"
  }
  exit 0
fi
say "cargo-deny is not installed: checking licences from cargo metadata. SKIPPED: advisories (cargo install cargo-deny)"
cargo metadata --format-version 1 --locked --filter-platform "$(rustc -vV | sed -n 's/^host: //p')" | node scripts/check-licences.mjs deny.toml
