#!/usr/bin/env bash
# Measures and writes docs/benchmarks.md. VIRBOARD_BENCH_PYTHON names a Python with torch,
# torchvision, onnx, onnxruntime and Pillow; without it only our own figures are measured.
set -euo pipefail
source "$(dirname "$0")/env.sh"
cd "$ROOT"

OUT=docs/benchmarks.md
NEW=$(mktemp)
trap 'rm -f "$NEW"' EXIT
{
  cat <<TEXT
# Benchmarks

Written by \`make bench\`: the programs take turns in one sitting, on as many threads each;
medians, and half the distance between the quartiles. \`times as fast\` is the rate over
Virboard's. Rates move by a few per cent from one sitting to the next, ratios less.

- Machine: $(lscpu | sed -n 's/^Model name: *//p' | head -1), $(nproc) threads, $(lscpu | grep -o 'avx512_bf16\|avx512_vnni\|avx512f\|avx2' | sort -u | tr '\n' ' ')
- $(rustc --version), $(git describe --always --dirty)
- Peers: $(cargo bench --quiet --package virboard-lab --bench peers -- nothing | head -1)

TEXT
  cargo bench --quiet --package virboard-lab --bench peers | tail -n +3
  printf '| part | time | spread |\n|---|---|---|\n'
  # "test NAME ... bench:   123456 ns/iter (+/- 789)"
  cargo bench --quiet --package virboard-lab --bench parts -- --output-format bencher |
    sed -n 's|^test \(.*\) \.\.\. bench: *\([0-9,]*\) ns/iter (+/- \([0-9,]*\)).*|\1\t\2\t\3|p' |
    awk -F'\t' '{ gsub(",", "", $2); gsub(",", "", $3); printf "| %s | %.3g ms | ± %.0f %% |\n", $1, $2 / 1e6, 100 * $3 / $2 }'
  echo
} >"$NEW"
# What was written by hand stays.
if [ -f "$OUT" ]; then sed -n '/^## /,$p' "$OUT" >>"$NEW"; fi
cp "$NEW" "$OUT"
say "$OUT is written"
