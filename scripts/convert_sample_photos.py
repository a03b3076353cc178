#!/usr/bin/env python3
"""Collect the SamplePhotos data set from Debian's gcompris-qt-data, once.

    apt-get download gcompris-qt-data && dpkg -x gcompris-qt-data_*.deb tree
    python scripts/convert_sample_photos.py tree [--out server/samples/photos]

Only pictures that their README marks CC0 or public domain are taken; they are
resized to at most 320 pixels and written as JPEG with the attribution list
ATTRIBUTION.csv. The split is fixed: within a class, sorted by name, every fifth
picture starting with the second and every fifth starting with the fourth is test.
"""

import argparse
import csv
import io
import pathlib
import re
import struct
import zlib

import zstandard
from PIL import Image

SOURCES = [
    ("animal", "explore_world_animals", "animals"),
    ("animal", "explore_farm_animals", "animals"),
    ("fish", "categorization", "images/fishes"),
    ("household", "categorization", "images/others"),
    ("monument", "categorization", "images/monuments"),
    ("renewable energy", "categorization", "images/renewable"),
    ("tool", "categorization", "images/tools"),
]
FREE = ("cc0", "public domain", "publicdomain")
# The README misspells one file's name.
ALIASES = {"screDriver.webp": "screwDriver.webp"}


def entries(path):
    """Files of a Qt resource archive (qres, versions 1 to 3) as (path, bytes)."""
    b = path.read_bytes()
    version, tree, data, names = struct.unpack(">IIII", b[4:20])
    size = 22 if version >= 2 else 14

    def name(offset):
        (n,) = struct.unpack(">H", b[names + offset:names + offset + 2])
        start = names + offset + 6
        return b[start:start + 2 * n].decode("utf-16-be")

    def walk(i, prefix):
        o = tree + i * size
        name_offset, flags = struct.unpack(">IH", b[o:o + 6])
        here = f"{prefix}/{name(name_offset)}" if i else ""
        if flags & 2:
            count, first = struct.unpack(">II", b[o + 6:o + 14])
            for k in range(first, first + count):
                yield from walk(k, here)
            return
        _, _, offset = struct.unpack(">HHI", b[o + 6:o + 14])
        (n,) = struct.unpack(">I", b[data + offset:data + offset + 4])
        raw = b[data + offset + 4:data + offset + 4 + n]
        if flags & 1:
            raw = zlib.decompress(raw[4:])
        elif flags & 4:
            raw = zstandard.ZstdDecompressor().decompress(raw, max_output_size=1 << 26)
        yield here, raw

    yield from walk(0, "")


def stanzas(text):
    """The README's paragraphs as (author, licence, source, [files])."""
    for part in re.split(r"\n\s*\n", text):
        field = {k: "" for k in ("copyright", "license", "source")}
        files, in_files = [], False
        for line in part.strip().splitlines():
            m = re.match(r"(\w+)\s*:\s*(.*)", line)
            if m and m.group(1).lower() in field:
                field[m.group(1).lower()] = m.group(2).strip()
                in_files = False
            elif m and m.group(1).lower() == "files":
                in_files = True
                if m.group(2).strip():
                    files.append(m.group(2).strip())
            elif in_files and line.strip():
                files.append(line.strip())
        yield field["copyright"], field["license"], field["source"], files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default="server/samples/photos")
    args = parser.parse_args()
    found = {}
    for label, archive, folder in SOURCES:
        files = dict(entries(args.tree / f"usr/share/gcompris-qt/rcc/{archive}.rcc"))
        inside = {p: d for p, d in files.items() if f"/{folder}/" in p}
        readme = next(d for p, d in inside.items() if p.endswith("README")).decode()
        by_name = {pathlib.PurePosixPath(p).name: d for p, d in inside.items() if p.endswith(".webp")}
        for author, licence, source, names in stanzas(readme):
            if not any(f in licence.lower() for f in FREE):
                continue
            for name in (ALIASES.get(n, n) for n in names):
                if name in by_name:
                    found[(label, name)] = (by_name[name], author, licence, source)
    rows = []
    for label in sorted({l for l, _ in found}):
        names = sorted(n for l, n in found if l == label)
        for i, name in enumerate(names):
            raw, author, licence, source = found[(label, name)]
            picture = Image.open(io.BytesIO(raw)).convert("RGB")
            picture.thumbnail((320, 320), Image.Resampling.LANCZOS)
            split = "test" if i % 5 in (1, 3) else "train"
            target = args.out / label / f"{pathlib.PurePosixPath(name).stem}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            picture.save(target, quality=88, optimize=True)
            rows.append([f"{label}/{target.name}", label, split, author, licence, source])
    with open(args.out / "ATTRIBUTION.csv", "w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(["file", "label", "split", "author", "licence", "source"])
        writer.writerows(rows)
    for label in sorted({r[1] for r in rows}):
        n = [r[2] for r in rows if r[1] == label]
        print(f"{label:18} {n.count('train'):3} train {n.count('test'):3} test")
    print(len(rows), "photographs")
