"""What gpu_check.sh needs beside a shell: compares scores, asks a server about a photo, and
writes the report. Needs Python 3.9 and nothing else.

gpu_check.py scores < JSON...        scores of the device, then perhaps those of the CPU
gpu_check.py pretrain FILE FILE < JSON...  losses of two runs, and whether their checkpoints are the same
gpu_check.py photo ADDRESS FILE      a photo through the server, several times
gpu_check.py report FOLDER DEVICE    report.md and report.json of what the steps left there
"""

import datetime
import json
import math
import os
import pathlib
import platform
import statistics
import sys
import time
import urllib.request
import uuid

# Two short trainings that differ in rounding end up this near: in points of a share, or as a
# share of an error.
SCORES_DIFFER = 0.05
STEPS = ["doctor", "agreement", "throughput", "photo", "pretrain", "evaluate", "peers"]


def documents():
    """All JSON documents of the standard input."""
    text, found, decoder = sys.stdin.read().strip(), [], json.JSONDecoder()
    while text:
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:].strip()
    return found


def pretrain(*checkpoints):
    """Two runs of one pre-training; fails if a loss is no number or a run is missing, on the CPU also if they differ."""
    runs = documents()
    losses = [[epoch["loss"] for epoch in run["curve"]] for run in runs]
    numbers = all(isinstance(loss, (int, float)) and math.isfinite(loss) for loss in sum(losses, []))
    if len(runs) != 2 or not all(losses) or not numbers:
        sys.exit(f"two runs with losses were expected: {losses}")
    same = len({pathlib.Path(file).read_bytes() for file in checkpoints}) == 1
    last = runs[-1]["curve"][-1]
    print(
        json.dumps(
            {
                "device": runs[-1]["device"],
                "losses": losses,
                "same_checkpoints": same,
                "neighbours": last.get("neighbours"),
                "pictures_per_second": runs[-1]["pictures"] / last["seconds"],
            }
        )
    )
    # The CPU adds in one order, always.
    sys.exit(not same and runs[-1]["device"] == "cpu")


def scores():
    """The scores of both devices side by side; fails if one is missing, no number, or far off."""
    lists = documents()
    rows, failed = [], not lists or not lists[0]
    of_cpu = {s["task"]: s["score"] for s in lists[-1]} if len(lists) > 1 else {}
    for score in lists[0] if lists else []:
        other, value = of_cpu.get(score["task"]), score["score"]
        scale = 1.0 if value <= 1.0 and (other or 0) <= 1.0 else abs(other or value)
        differs = None if other is None else abs(value - other) / scale
        passed = math.isfinite(value) and (len(lists) == 1 or (differs is not None and differs <= SCORES_DIFFER))
        failed |= not passed
        evidence = score["provenance"]
        rows.append(
            {
                "task": score["task"],
                "score": value,
                "cpu": other,
                "differs": differs,
                "passed": passed,
                "device": evidence["device"],
                "precision": evidence["precision"],
                "seconds": evidence["seconds"],
            }
        )
    print(json.dumps(rows, indent=1))
    sys.exit(failed)


def photo(address, file):
    """Sends a photo five times; fails unless every answer has classes that are numbers."""
    # Before the step ends, so that there is a reason.
    deadline = time.monotonic() + max(1, float(os.environ.get("LEFT", 40)) - 10)
    while True:
        try:
            urllib.request.urlopen(f"{address}/readyz", timeout=5).read()
            break
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"the server does not answer: {error}")
            time.sleep(0.3)
    boundary, milliseconds, kinds = uuid.uuid4().hex, [], []
    for i in range(5):
        # Another file each time, so that no answer comes from a cache.
        picture = pathlib.Path(file).read_bytes() + bytes([i])
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="encoder"\r\n\r\nEfficientNetLite0\r\n'.encode(),
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n'.encode(),
            b"Content-Type: image/jpeg\r\n\r\n" + picture + f"\r\n--{boundary}--\r\n".encode(),
        ]
        request = urllib.request.Request(
            f"{address}/api/v1/predictions",
            data=b"".join(parts),
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        )
        started = time.monotonic()
        answer = json.load(urllib.request.urlopen(request, timeout=30))
        milliseconds.append(round(1000 * (time.monotonic() - started), 1))
        outputs = list(find(answer, "classes"))
        numbers = [c["probability"] for classes in outputs for c in classes if "probability" in c]
        if not numbers or not all(math.isfinite(n) for n in numbers):
            sys.exit(f"the answer has no classes: {json.dumps(answer)[:400]}")
        kinds = sorted(set(find(answer, "kind")))
    print(json.dumps({"first_ms": milliseconds[0], "then_ms": statistics.median(milliseconds[1:]), "kinds": kinds}))


def find(value, key):
    """All values of a key, wherever it is."""
    if isinstance(value, dict):
        if key in value:
            yield value[key]
        for inner in value.values():
            yield from find(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from find(inner, key)


def table(names, rows):
    return ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)] + [
        "| " + " | ".join("" if cell is None else str(cell) for cell in row) + " |" for row in rows
    ]


def short(value):
    return "failed" if value is None else f"{value:.1e}" if value < 0.1 else f"{value:.1f}"


def report(folder, device):
    """Writes what the steps left as one table each; ends with 1 if a step failed."""
    folder = pathlib.Path(folder)
    read = {}
    for step in STEPS:
        try:
            read[step] = json.loads((folder / f"{step}.json").read_text())
        except (OSError, ValueError):
            read[step] = None
    steps = [line.split("\t") for line in (folder / "steps.tsv").read_text().splitlines()]
    failed = [name for name, code, _ in steps if code != "0"]
    doctor = read["doctor"] or {}
    name = doctor.get("device", device)
    gpus = (doctor.get("gpus") or {}).get("gpus") or []
    card = gpus[0]["name"] if device != "cpu" and gpus else doctor.get("processor", {}).get("name", platform.machine())
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    lines = [f"## {card}, {date}", ""]
    if device == "cpu":
        lines += [f"No GPU was used ({doctor.get('no_gpus') or 'the device was asked to be the CPU'}): this is the same check on the CPU.", ""]
    driver = (doctor.get("gpus") or {}).get("driver")
    lines += [
        f"- Virboard {doctor.get('version')}, built for GPUs: {doctor.get('built_for')}; computes on {name}",
        f"- driver {driver or 'none'}; {doctor.get('processor', {}).get('name')}, {doctor.get('processor', {}).get('threads')} threads",
        "",
    ]
    lines += table(["step", "outcome", "seconds"], [[n, "passed" if c == "0" else f"FAILED ({c})", s] for n, c, s in steps]) + [""]
    for step in failed:
        log = (folder / f"{step}.log").read_text(errors="replace").strip().splitlines()[-5:]
        lines += [f"`{step}` ended with:", "", "```", *log, "```", ""]
    if read["agreement"]:
        passes = lambda r: r["failure"] is None and r["compared"] > 0 and r["error"] is not None and r["error"] <= r["bound"]
        groups = {}
        for row in read["agreement"]:
            heads = "," in row["what"]
            what = row["what"].rsplit(": ", 1)[-1] if heads else "maps and embeddings of all architectures"
            groups.setdefault((what, row["setting"]), []).append(row)
        rows = []
        for (what, setting), of in groups.items():
            worst = max(of, key=lambda r: math.inf if r["error"] is None else r["error"] / r["bound"])
            rows.append([what, setting, f"{sum(map(passes, of))} of {len(of)}", f"{short(worst['error'])} of {worst['bound']:.0e}", worst["what"]])
        lines += ["Differences from the CPU in f32, as a share of a tensor's largest value:", ""]
        lines += table(["", "setting", "agree", "largest, of allowed", "in"], rows) + [""]
        bad = [r for r in read["agreement"] if not passes(r)]
        lines += [f"- {r['what']}, {r['setting']}: {short(r['error'])} of {r['bound']:.0e} {r['failure'] or ''}" for r in bad] + ([""] if bad else [])
    if read["evaluate"]:
        lines += ["Two epochs of three sample tasks:", ""]
        rows = [[r["task"], f"{r['score']:.4f}", "" if r["cpu"] is None else f"{r['cpu']:.4f}", r["device"], r["precision"], f"{r['seconds']:.1f}"] for r in read["evaluate"]]
        lines += table(["task", "score", "on the CPU", "device", "precision", "seconds"], rows) + [""]
    if read["photo"]:
        p = read["photo"]
        lines += [f"A photo through the server: {p['first_ms']:.0f} ms the first time, then {p['then_ms']:.0f} ms.", ""]
    if read["pretrain"]:
        p = read["pretrain"]
        losses = " and ".join(", ".join(f"{loss:.4f}" for loss in of) for of in p["losses"])
        same = "the same" if p["same_checkpoints"] else "DIFFERENT"
        lines += [f"Pre-training, two epochs of MoCo v2 on the sample photos, twice, on {p['device']}: losses {losses}; checkpoints {same} to the bit.", ""]
    if doctor.get("speeds"):
        rows = [[s["precision"], f"{s['pictures_per_second']:.1f}", f"{s['error']:.4f}"] for s in doctor["speeds"]]
        lines += ["ResNet-50 as `virboard doctor` measures it:", ""] + table(["precision", "pictures/s", "error to f32"], rows)
        lines += ["", f"`--precision auto` takes {doctor['recommended']}.", ""]
    rates = [dict(r, who="Virboard") for r in read["throughput"] or []] + (read["peers"] or [])
    if rates:
        lines += ["Pictures a second:", ""]
        batches = sorted({r["batch"] for r in rates if r["batch"]})
        cells = {}
        for r in rates:
            cells.setdefault((r["network"], r["work"], r["setting"], r["who"]), {})[r["batch"]] = r["pictures_per_second"]
        rows = [[*key, *("" if b not in of else "failed" if of[b] is None else f"{of[b]:.0f}" for b in batches)] for key, of in sorted(cells.items())]
        lines += table(["network", "from", "setting", "by", *[f"batch {b}" for b in batches]], rows) + [""]
        memory = [r["gpu_memory"] for r in rates if r.get("gpu_memory")]
        if memory:
            lines += [f"Largest use of the GPU's memory by Virboard (and whoever else): {max(memory) / 1e9:.1f} GB.", ""]
    text = "\n".join(lines)
    (folder / "report.md").write_text(text)
    (folder / "report.json").write_text(json.dumps({"card": card, "device": name, "date": date, "steps": steps, **read}, indent=1))
    print(text)
    sys.exit(1 if failed or len(steps) < len(STEPS) else 0)


if __name__ == "__main__":
    {"scores": scores, "pretrain": pretrain, "photo": photo, "report": report}[sys.argv[1]](*sys.argv[2:])
