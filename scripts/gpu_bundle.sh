#!/usr/bin/env bash
# Builds the program for GPUs and collects what a machine with one needs to check it, in
# $TARGET/gpu-bundle: carry that folder there and run its gpu_check.sh. See docs/gpu.md.
#
# CUDA_COMPUTE_CAP chooses the kind of GPU (90: H100, H200). The program loads CUDA's libraries
# at run time, so that it starts with or without a driver: candle-core asks cudarc to link them,
# which one word in a copy of its manifest changes (huggingface/candle#3208). It is carried
# compressed, a sixth of its size; gpu_check.sh unpacks it.
set -euo pipefail
source "$(dirname "$0")/env.sh"
source "$(dirname "$0")/cuda-env.sh"
cd "$ROOT"

LIMIT_MB=55
BUNDLE=$TARGET/gpu-bundle
TREE=$TARGET/gpu-tree
CANDLE=$TREE/candle-core

say "copying the sources"
rm -rf "$TREE"
mkdir -p "$TREE"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --no-dereference --target-directory "$TREE"
cp -r "$(dirname "$(cargo metadata --format-version 1 --locked | node -e '
  const packages = JSON.parse(require("node:fs").readFileSync(0)).packages;
  console.log(packages.find(p => p.name === "candle-core").manifest_path);
')")" "$CANDLE"
chmod -R u+w "$CANDLE"
sed -i 's/"dynamic-linking"/"dynamic-loading"/' "$CANDLE/Cargo.toml"
grep -q '"dynamic-loading"' "$CANDLE/Cargo.toml" || die "candle-core's manifest asks for no linking any more" "see whether the copy is still needed"
printf '\n[patch.crates-io]\ncandle-core = { path = "candle-core" }\n' >>"$TREE/Cargo.toml"

say "building for compute capability $CUDA_COMPUTE_CAP"
(cd "$TREE" && CARGO_TARGET_DIR=$TARGET/gpu-build VIRBOARD_COMMIT=$(git -C "$ROOT" describe --always --dirty) \
  cargo build --release --package virboard --features cuda,cudnn)

say "collecting"
rm -rf "$BUNDLE"
mkdir -p "$BUNDLE/vectors"
strip -o "$BUNDLE/virboard" "$TARGET/gpu-build/release/virboard"
cp server/nn/tests/vectors/*.safetensors "$BUNDLE/vectors/"
cp scripts/gpu_check.sh scripts/gpu_check.py scripts/gpu_peers.py "$BUNDLE/"
"$BUNDLE/virboard" --version >"$BUNDLE/VERSION"
# It must start where there is no driver, and use what is there.
"$BUNDLE/virboard" --data-dir "$TREE/none" doctor --json >"$TREE/doctor.json" || die "the program does not start here"
if ldd "$BUNDLE/virboard" | grep -E 'libcuda|libcublas|libcudnn|libcurand'; then
  die "the program is linked to CUDA's libraries, and would not start without them"
fi
xz --threads=0 --force "$BUNDLE/virboard"
SIZE=$(du -sm "$BUNDLE" | cut -f1)
[ "$SIZE" -le "$LIMIT_MB" ] || die "the bundle has $SIZE MB; at most $LIMIT_MB are carried"
du -ah "$BUNDLE" | sort -k2 >&2
say "$BUNDLE is ready: $SIZE MB"
