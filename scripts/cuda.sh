#!/usr/bin/env bash
# Checks that the program compiles with CUDA; see cuda-env.sh.
set -euo pipefail
source "$(dirname "$0")/env.sh"
source "$(dirname "$0")/cuda-env.sh"
cd "$ROOT"

for features in cuda cudnn; do
  say "checking with $features for compute capability $CUDA_COMPUTE_CAP"
  cargo check --release --package virboard --features "$features" --locked
done
