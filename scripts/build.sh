#!/usr/bin/env bash
# Builds the program ($TARGET/release/virboard) and the browser's files ($TARGET/site).
set -euo pipefail
source "$(dirname "$0")/env.sh"
cd "$ROOT"

say "building the server"
cargo build --release --package virboard ${VIRBOARD_FEATURES:+--features "$VIRBOARD_FEATURES"}

say "building the browser's part"
cargo_wasm --package virboard-app --lib --features hydrate --profile wasm-release

PKG=$SITE/pkg
BIN=end2end/node_modules/.bin
WASM=$TARGET/$WASM_TARGET/wasm-release/virboard_app.wasm
STAMP=$PKG/.stamp
mkdir -p "$PKG"
# Only what changed is made again.
if [ "$(cat "$STAMP" 2>/dev/null)" != "$(sha256sum "$WASM" | cut -d' ' -f1)" ] || [ ! -f "$PKG/virboard_bg.wasm.br" ]; then
  say "making it small"
  rm -f "$STAMP"
  "$TOOLS/bin/wasm-bindgen" --target web --no-typescript --out-dir "$PKG" --out-name virboard "$WASM"
  "$BIN/wasm-opt" -Oz --flatten --rereloop -Oz -Oz -Oz -Oz --strip-producers --strip-target-features --enable-bulk-memory --enable-nontrapping-float-to-int --enable-reference-types --enable-sign-ext \
    --enable-mutable-globals --enable-multivalue "$PKG/virboard_bg.wasm" -o "$PKG/virboard_bg.wasm"
  "$BIN/esbuild" "$PKG/virboard.js" --minify --format=esm --allow-overwrite --outfile="$PKG/virboard.js" --log-level=warning
  node scripts/compress.mjs "$PKG/virboard_bg.wasm" "$PKG/virboard.js"
  sha256sum "$WASM" | cut -d' ' -f1 >"$STAMP"
fi
"$BIN/sass" --no-source-map --style=compressed style/main.scss "$PKG/virboard.css"
node scripts/compress.mjs "$PKG/virboard.css"
