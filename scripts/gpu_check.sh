#!/usr/bin/env bash
# Checks and measures Virboard on this machine's GPU, in at most five minutes, and writes
# report.md and report.json. Runs from a bundle (scripts/gpu_bundle.sh) beside a checkout of
# Virboard, or from the checkout. Without a GPU the same steps run on the CPU, and the report
# says so. Where a step fails, the others go on; it ends with 1 if one failed.
#
#   gpu_check.sh [--out FOLDER] [--program FILE] [--checkout FOLDER] [--device cuda:0|cpu]
set -uo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROGRAM=$HERE/virboard
VECTORS=$HERE/vectors
CHECKOUT=$PWD
OUT=$PWD/gpu-report
DEVICE=
while [ $# -gt 0 ]; do
  case $1 in
    --out) OUT=$2 ;;
    --program) PROGRAM=$2 ;;
    --checkout) CHECKOUT=$2 ;;
    --device) DEVICE=$2 ;;
    *) echo "unknown: $1" >&2; exit 2 ;;
  esac
  shift 2
done
[ -d "$VECTORS" ] || VECTORS=$CHECKOUT/server/nn/tests/vectors
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
# A bundle carries the program compressed.
if [ ! -e "$PROGRAM" ] && [ -e "$PROGRAM.xz" ]; then
  "${VIRBOARD_CHECK_PYTHON:-python3}" -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"))' \
    "$PROGRAM.xz" "$OUT/virboard" || exit 2
  chmod +x "$OUT/virboard"
  PROGRAM=$OUT/virboard
fi
PROGRAM=$(cd "$(dirname "$PROGRAM")" && pwd)/$(basename "$PROGRAM")
cd "$CHECKOUT" || exit 2

# CUDA's libraries of a Python environment, if that is where they are.
PYTHON=${VIRBOARD_CHECK_PYTHON:-python3}
PACKAGES=$("$PYTHON" -c 'import site, sys; print(":".join(site.getsitepackages() + [site.getusersitepackages()]))' 2>/dev/null)
IFS=: read -ra SITES <<<"$PACKAGES"
for site in "${SITES[@]}"; do
  for folder in "$site"/nvidia/*/lib "$site"/nvidia/*/lib64; do
    [ -d "$folder" ] && LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
  done
done
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}

echo "writing to $OUT" >&2
: >"$OUT/steps.tsv"

# step NAME SECONDS COMMANDS: what they print goes to NAME.json, the rest to NAME.log.
step() {
  local started=$SECONDS code=0
  timeout --kill-after 10 "$2" bash -o pipefail -c "$3" >"$OUT/$1.json" 2>"$OUT/$1.log" || code=$?
  printf '%s\t%s\t%s\n' "$1" "$code" "$((SECONDS - started))" >>"$OUT/steps.tsv"
  echo "$1: exit $code, $((SECONDS - started)) s" >&2
}

# virboard FOLDER ARGUMENTS: on the device, with a data folder of its own.
virboard() { "$PROGRAM" --data-dir "$OUT/data/$1" --device "$DEVICE" "${@:2}"; }

# Two epochs of three tasks on the device, and on the CPU if that is another.
evaluate() {
  local grid=$OUT/grid.yaml device
  for task in SamplePhotos SceneSegmentation SceneDepth; do
    printf '%s:\n task: "%s"\n training_configs:\n   short:\n     optimizer: adam\n     lr: 0.001\n num_epochs: 2\n batch_size: 16\n' "$task" "$task"
  done >"$grid"
  for device in $(printf '%s\ncpu\n' "$DEVICE" | uniq); do
    DEVICE=$device virboard "scores-${device%%:*}" evaluate --encoders EfficientNetLite0 --config "$grid" \
      --selection last-epoch --no-probes --json || return 1
  done | "$PYTHON" "$HERE/gpu_check.py" scores
}

photo() {
  local address=127.0.0.1:${VIRBOARD_CHECK_PORT:-3917} server code
  # The program itself, not a shell around it, so that it can be ended.
  "$PROGRAM" --data-dir "$OUT/data/photo" --device "$DEVICE" serve --addr "$address" >&2 &
  server=$!
  "$PYTHON" "$HERE/gpu_check.py" photo "http://$address" public/samples/china.jpg
  code=$?
  kill "$server" && wait "$server"
  return $code
}

export -f virboard evaluate photo
export PROGRAM OUT DEVICE HERE PYTHON VECTORS
DEVICE=${DEVICE:-auto}
step doctor 60 'virboard doctor doctor --json'
if [ "$DEVICE" = auto ]; then
  DEVICE=cpu
  grep -q '"device": "cuda' "$OUT/doctor.json" && DEVICE=cuda:0
fi
echo "checking $DEVICE" >&2
step agreement 150 'virboard agreement doctor agreement --vectors "$VECTORS" --json'
step evaluate 180 evaluate
step photo 60 photo
step throughput 120 'virboard throughput doctor throughput --vectors "$VECTORS" --json'
step peers 90 '"$PYTHON" "$HERE/gpu_peers.py" "$DEVICE"'
rm -rf "$OUT/data" "$OUT/grid.yaml"
exec "$PYTHON" "$HERE/gpu_check.py" report "$OUT" "$DEVICE"
