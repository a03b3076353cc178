#!/usr/bin/env bash
# Sets up what is missing, and only that. Safe to run again and again.
#
#   scripts/setup.sh           to build and serve
#   scripts/setup.sh --tests   and for the browser tests
set -euo pipefail
source "$(dirname "$0")/env.sh"
cd "$ROOT"

command -v cargo >/dev/null || die "Rust is missing" "install it: https://rustup.rs"
command -v npm >/dev/null || die "Node.js is missing" "install Node.js 20 or newer, with npm"

apt_install() {
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  command -v apt-get >/dev/null || return 1
  $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if ! command -v cc >/dev/null; then
  say "installing a C compiler"
  apt_install build-essential || die "a C compiler is missing" "install one: apt-get install build-essential"
fi

if ! has_rustup_wasm && ! has_debian_wasm; then
  say "adding the WebAssembly target through rustup"
  # Where rustup's server cannot be reached this would wait for ever.
  if ! (command -v rustup >/dev/null && timeout 120 rustup target add "$WASM_TARGET") || ! has_rustup_wasm; then
    say "rustup could not; installing Debian's toolchain for the web"
    apt_install rustc-web cargo-web rust-web-src lld-19 && has_debian_wasm || die "there is no toolchain for WebAssembly" \
      "with rustup and a connection: rustup target add $WASM_TARGET" \
      "on Debian or Ubuntu: apt-get install rustc-web cargo-web rust-web-src lld-19"
  fi
fi

VERSION=$(locked wasm-bindgen)
if [ "$("$TOOLS/bin/wasm-bindgen" --version 2>/dev/null)" != "wasm-bindgen $VERSION" ]; then
  say "building wasm-bindgen $VERSION, as Cargo.lock has it (a few minutes, once)"
  install_bindgen() { CARGO_TARGET_DIR="$TARGET/tools-build" cargo install --quiet wasm-bindgen-cli --version "$VERSION" --root "$TOOLS" --force "$@"; }
  install_bindgen --locked 2>/dev/null || install_bindgen || die "wasm-bindgen $VERSION could not be built" \
    "look at the messages above; with a connection to the registry, run scripts/setup.sh again"
  rm -rf "$TARGET/tools-build"
fi

# Sass and wasm-opt (and, for tests, Playwright) in the versions of end2end/package-lock.json.
if ! cmp -s end2end/package-lock.json end2end/node_modules/.virboard-lock; then
  say "installing sass, wasm-opt and playwright"
  (cd end2end && npm ci --silent --no-audit --no-fund) || die "npm could not install end2end/package-lock.json" \
    "with a connection to the registry, run: cd end2end && npm ci"
  cp end2end/package-lock.json end2end/node_modules/.virboard-lock
fi

if [ "${1:-}" = --tests ] && ! command -v chromium >/dev/null && [ -z "${CHROMIUM:-}" ]; then
  say "installing Chromium for the browser tests"
  apt_install chromium || die "Chromium could not be installed" \
    "install it yourself, and if it is not called chromium: export CHROMIUM=/path/to/chromium"
fi
