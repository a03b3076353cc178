#!/usr/bin/env bash
# Checks that the program compiles with CUDA, without a GPU, a driver or a system toolkit:
# where there is no nvcc, NVIDIA's packages from the Python registry serve as one.
set -euo pipefail
source "$(dirname "$0")/env.sh"
cd "$ROOT"

if ! command -v nvcc >/dev/null; then
  VENV=$TARGET/cuda
  HOME_OF_CUDA() { echo "$VENV"/lib/python3*/site-packages/nvidia/cu13; }
  if [ ! -x "$(HOME_OF_CUDA)/bin/nvcc" ]; then
    say "fetching NVIDIA's compiler (about 1 GB)"
    python3 -m venv "$VENV" || die "there is no Python with venv" "sudo apt-get install python3-venv"
    "$VENV/bin/pip" install --quiet nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 \
      nvidia-cuda-cccl==13.0.85 nvidia-cuda-runtime==13.0.96 nvidia-cuda-nvrtc==13.0.88 nvidia-cublas==13.0.2.14 \
      nvidia-curand==10.4.5.25
  fi
  CUDA_HOME=$(HOME_OF_CUDA)
  export CUDA_HOME CUDA_ROOT=$CUDA_HOME CUDA_PATH=$CUDA_HOME NVCC=$CUDA_HOME/bin/nvcc PATH=$CUDA_HOME/bin:$PATH
  # What the linker asks for by these names.
  LIBRARIES=$VENV/libraries
  mkdir -p "$LIBRARIES"
  cp -f "$CUDA_HOME/lib/libcudart_static.a" "$LIBRARIES/libcudart.a"
  export RUSTFLAGS="${RUSTFLAGS:-} -L native=$LIBRARIES"
fi
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}
for features in cuda cudnn; do
  say "checking with $features for compute capability $CUDA_COMPUTE_CAP"
  cargo check --release --package virboard --features "$features" --locked
done
