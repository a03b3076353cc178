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
rm -rf "$OUT/data"
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

# Seconds for everything, of which the last steps get what is left.
TOTAL=300
# step NAME SECONDS COMMANDS: what they print goes to NAME.json, the rest to NAME.log. They see as LEFT
# how long they may take.
step() {
  local started=$SECONDS code=0
  export LEFT=$((TOTAL - SECONDS - 5))
  [ "$LEFT" -le "$2" ] || LEFT=$2
  [ "$LEFT" -gt 1 ] || LEFT=1
  timeout --kill-after 5 "$LEFT" bash -o pipefail -c "$3" >"$OUT/$1.json" 2>"$OUT/$1.log" || code=$?
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

# Two epochs of MoCo v2 on the sample photos, twice; what came of them should be the same.
pretrain() {
  local settings=$OUT/pretrain.yaml run
  cat >"$settings" <<'YAML'
method: {moco_v2: {projection: {hidden: 64, out: 32, batch_norm: true}, temperature: 0.2, queue: 64, momentum: 0.99, groups: 2}}
network: {architecture: resnet18, width: 24}
data: {sources: [server/samples/photos]}
views: [{count: 2, side: 64, scale: [0.2, 1.0], flip: 0.5, jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1}}]
optimiser: {sgd: {momentum: 0.9}}
learning_rate: 0.03
schedule: {cosine: {}}
weight_decay: 0.0001
batch: 32
epochs: 2
neighbours: {task: SamplePhotos, every: 1}
YAML
  for run in first again; do
    virboard "$run" pretrain --config "$settings" --out Checked --json || return 1
  done | "$PYTHON" "$HERE/gpu_check.py" pretrain "$OUT"/data/{first,again}/checkpoints/Checked.safetensors
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

export -f virboard evaluate photo pretrain
export PROGRAM OUT DEVICE HERE PYTHON VECTORS
DEVICE=${DEVICE:-auto}
step doctor 45 'virboard doctor doctor --json'
if [ "$DEVICE" = auto ]; then
  DEVICE=cpu
  grep -q '"device": "cuda' "$OUT/doctor.json" && DEVICE=cuda:0
fi
echo "checking $DEVICE" >&2
step agreement 130 'virboard agreement doctor agreement --vectors "$VECTORS" --json'
step throughput 90 'virboard throughput doctor throughput --vectors "$VECTORS" --json'
step photo 40 photo
step pretrain 40 pretrain
step evaluate 90 evaluate
step peers 90 '"$PYTHON" "$HERE/gpu_peers.py" "$DEVICE" $((LEFT - 15))'
rm -rf "$OUT/data" "$OUT/grid.yaml" "$OUT/pretrain.yaml"
exec "$PYTHON" "$HERE/gpu_check.py" report "$OUT" "$DEVICE"
