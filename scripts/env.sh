# Sourced by the other scripts: where things are, and which of two toolchains builds
# WebAssembly, so that nothing else needs to know.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
case $TARGET in /*) ;; *) TARGET=$ROOT/$TARGET ;; esac
TOOLS=$TARGET/tools
SITE=$TARGET/site
WASM_TARGET=wasm32-unknown-unknown

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() {
  printf '\033[31mfailed:\033[0m %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

# The version of a crate in Cargo.lock.
locked() { awk -v name="\"$1\"" '$1 == "name" && $3 == name { getline; gsub(/"/, "", $3); print $3; exit }' "$ROOT/Cargo.lock"; }

# Whether the default toolchain has the standard library for WebAssembly.
has_rustup_wasm() { [ -d "$(rustc --print sysroot)/lib/rustlib/$WASM_TARGET" ] && ls "$(rustc --print sysroot)/lib/rustlib/$WASM_TARGET/lib"/*.rlib >/dev/null 2>&1; }
# Whether Debian's toolchain for the web is there: it builds that library from source.
has_debian_wasm() { [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && [ -d /usr/lib/rustlib/src ] && command -v wasm-ld-19 >/dev/null; }

# cargo_wasm ARGUMENTS: builds for WebAssembly with whichever is there.
cargo_wasm() {
  if has_rustup_wasm; then
    cargo build --target "$WASM_TARGET" "$@"
  elif has_debian_wasm; then
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19 \
      /usr/bin/cargo build -Z build-std=std,panic_abort --target "$WASM_TARGET" "$@"
  else
    die "there is no toolchain for WebAssembly" "run scripts/setup.sh"
  fi
}
