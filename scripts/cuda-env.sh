# Sourced: a CUDA compiler in the environment, without a GPU, a driver or a system toolkit: where
# there is no nvcc, NVIDIA's packages from the Python registry serve as one.

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
  # Flags from the environment replace those of .cargo/config.toml.
  export RUSTFLAGS="${RUSTFLAGS:-} --cfg erase_components -L native=$LIBRARIES"
fi
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}
