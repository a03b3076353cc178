#!/usr/bin/env python3
"""Make a miniature of every data set in its real on-disk format (Pillow, NumPy).

    python scripts/make_miniatures.py [--out server/tests/miniatures]

A few pictures a set, drawn from a seed: coloured gradients with shapes whose colour tells the
class, so that heads can learn something from them.
"""

import argparse
import json
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageDraw

COLOURS = [(220, 60, 50), (50, 90, 220), (60, 180, 70), (230, 200, 40), (160, 70, 190), (240, 140, 40)]


def scene(rng, kind, size):
    """A picture with a disc of the class's colour, and the disc's mask."""
    w, h = size
    y, x = np.mgrid[0:h, 0:w]
    base = np.stack([x * 120 / w + 60, y * 120 / h + 60, np.full((h, w), 90.0)], -1)
    picture = Image.fromarray((base + rng.normal(0, 6, base.shape)).clip(0, 255).astype(np.uint8))
    mask = Image.new("L", size, 0)
    r = min(w, h) * rng.uniform(0.2, 0.35)
    cx, cy = rng.uniform(r, w - r), rng.uniform(r, h - r)
    for image, fill in [(picture, COLOURS[kind % len(COLOURS)]), (mask, 1)]:
        ImageDraw.Draw(image).ellipse([cx - r, cy - r, cx + r, cy + r], fill=fill)
    return picture, np.asarray(mask)


def save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def folders(rng, root, splits, classes, name, train, test):
    for split, n in zip(splits, [train, test]):
        for c, folder in enumerate(classes):
            for i in range(n):
                save(scene(rng, c, (48, 40))[0], root / split / folder / name(split, folder, i), quality=80)


def png16(path, pixels):
    """A 16-bit RGB PNG, which Pillow does not write."""
    h, w, _ = pixels.shape
    rows = b"".join(b"\0" + pixels[y].astype(">u2").tobytes() for y in range(h))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 16, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


class Py2Pickle:
    """Python 2's pickle, protocol 2, as CIFAR's files are written: byte strings and NumPy's old names."""

    def __init__(self, value):
        self.out = b"\x80\x02" + self.put(value) + b"."

    def put(self, v):
        if isinstance(v, str):
            v = v.encode()
        if isinstance(v, bytes):
            return b"U" + bytes([len(v)]) + v if len(v) < 256 else b"T" + struct.pack("<I", len(v)) + v
        if v is None:
            return b"N"
        if isinstance(v, bool):
            return b"\x88" if v else b"\x89"
        if isinstance(v, int):
            return b"K" + bytes([v]) if 0 <= v < 256 else b"J" + struct.pack("<i", v)
        if isinstance(v, list):
            return b"](" + b"".join(map(self.put, v)) + b"e"
        if isinstance(v, tuple):
            return b"(" + b"".join(map(self.put, v)) + b"t"
        if isinstance(v, dict):
            return b"}(" + b"".join(self.put(k) + self.put(x) for k, x in v.items()) + b"u"
        assert isinstance(v, np.ndarray) and v.dtype == np.uint8
        dtype = b"cnumpy\ndtype\n" + self.put(("u1", 0, 1)) + b"R" + self.put((3, "|", None, None, None, -1, -1, 0)) + b"b"
        array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + self.put((0,)) + self.put("b") + b"tR"
        return array + b"(K\x01" + self.put(v.shape) + dtype + b"\x89" + self.put(v.tobytes()) + b"tb"


def cifar(rng, root):
    root.mkdir(parents=True, exist_ok=True)
    for name, n in [("train", 8), ("test", 4)]:
        labels = [i % 2 * 7 for i in range(n)]
        data = np.stack([np.asarray(scene(rng, c // 7, (32, 32))[0]).transpose(2, 0, 1).reshape(-1) for c in labels])
        (root / name).write_bytes(Py2Pickle({
            "filenames": [f"{name}_{i}.png" for i in range(n)], "batch_label": f"{name} batch 1 of 1",
            "fine_labels": labels, "coarse_labels": [c // 2 for c in labels], "data": data}).out)
    (root / "meta").write_bytes(Py2Pickle({
        "fine_label_names": [f"fine_{i}" for i in range(100)], "coarse_label_names": [f"coarse_{i}" for i in range(20)]}).out)


def make(out):
    rng = np.random.default_rng(7)
    folders(rng, out / "imagenet", ["train", "val"], ["n01440764", "n01443537"],
            lambda s, f, i: f"{f}_{i}.JPEG" if s == "train" else f"ILSVRC2012_val_{f}_{i}.JPEG", 4, 2)
    folders(rng, out / "imagenetv2", [""], ["0", "1"], lambda s, f, i: f"{f}_{i}.jpeg", 2, 0)
    folders(rng, out / "SUN397", ["train", "test"], ["abbey", "airport"], lambda s, f, i: f"sun_{f}{i}.jpg", 4, 2)
    folders(rng, out / "eurosat", ["train", "test"], ["Forest", "River"], lambda s, f, i: f"{f}_{i}.jpg", 4, 2)
    folders(rng, out / "dtd", ["train", "test"], ["banded", "dotted"], lambda s, f, i: f"{f}_{i:04}.jpg", 4, 2)
    folders(rng, out / "caltech-101", [""], ["BACKGROUND_Google", "accordion"], lambda s, f, i: f"image_{i:04}.jpg", 6, 0)
    for split, ids in [("train", range(4)), ("test", range(4, 6))]:
        names = [f"{c}/image_{i:04}.jpg" for c in ["BACKGROUND_Google", "accordion"] for i in ids]
        (out / f"caltech-101/caltech101_{split}.json").write_text(json.dumps(names))
    for split, n in [("train", 3), ("test", 2)]:
        for c, breed in enumerate(["Abyssinian", "great_pyrenees"]):
            for i in range(n):
                picture, mask = scene(rng, c, (48, 40))
                name = f"{breed}_{i + (10 if split == 'test' else 0)}"
                save(picture, out / f"pets/{split}/{breed}/{name}.jpg", quality=80)
                trimap = np.where(mask, 1, 2).astype(np.uint8)
                edge = (np.roll(mask, 1, 0) != mask) | (np.roll(mask, 1, 1) != mask)
                trimap[edge] = 3
                save(Image.fromarray(trimap), out / f"pets/annotations/trimaps/{name}.png")
    cifar(rng, out / "cifar-100")
    for split, n in [("train", 6), ("val", 4)]:
        scenes = []
        for i in range(n):
            name = f"CLEVR_{split}_{i:06}.png"
            save(scene(rng, i % 2, (48, 32))[0], out / f"CLEVR/images/{split}/{name}")
            scenes.append({"image_index": i, "image_filename": name, "split": split,
                           "objects": [{"shape": "cube", "color": "red", "3d_coords": [0, 0, 0]}] * (3 + i % 2)})
        (out / "CLEVR/scenes").mkdir(exist_ok=True)
        (out / f"CLEVR/scenes/CLEVR_{split}_scenes.json").write_text(json.dumps({"info": {"split": split}, "scenes": scenes}))
    for split, n in [("train", 6), ("val", 4)]:
        lines, pairs = [], []
        for i in range(n):
            view = f"{split}/FloorPlan{1 + i % 2}/{i:04}"
            save(scene(rng, i % 2, (40, 40))[0], out / f"thor_num_steps/{view}_rgb.jpg", quality=80)
            lines.append(f"{view} {2 + i % 2}")
            for side in "ab":
                save(scene(rng, i % 2, (40, 40))[0], out / f"thor_action_prediction/{view}_rgb_{side}.jpg", quality=80)
            pairs.append(f"{view} {['MoveAhead', 'LookDown'][i % 2]}")
        (out / f"thor_num_steps/{split}_labels.txt").write_text("\n".join(lines) + "\n")
        (out / f"thor_action_prediction/{split}_labels.txt").write_text("\n".join(pairs) + "\n")
    for split, n in [("train", 6), ("test", 4)]:
        pairs = []
        for i in range(n):
            names = [f"samples/CAM_FRONT/{split}{i}.jpg", f"sweeps/CAM_FRONT/{split}{i}.jpg"]
            for name in names:
                save(scene(rng, i % 2, (64, 36))[0], out / "nuScenes" / name, quality=80)
            pairs.append({"img_a": names[0], "img_b": names[1], "label": ["forward", "left"][i % 2]})
        (out / f"nuScenes/nuScenes_{split}.json").write_text(json.dumps(pairs))
    for split, n in [("train", 4), ("validate", 4)]:
        clips = {}
        for i in range(n):
            clip = f"{split[:2]}clip-{i:05}"
            for frame in range(6 if i != 3 else 5):
                save(scene(rng, i % 2, (40, 30))[0], out / f"kinetics400/{split}/{clip[:2]}/{clip}_{frame}.jpg", quality=75)
            clips[clip] = {"annotations": {"label": ["abseiling", "zumba"][i % 2], "segment": [0.0, 10.0]},
                           "duration": 10.0, "subset": split, "url": f"https://www.youtube.com/watch?v={clip}"}
        (out / "kinetics400/annotations").mkdir(parents=True, exist_ok=True)
        (out / f"kinetics400/annotations/{split}.json").write_text(json.dumps(clips))
    for split, n in [("train", 4), ("val", 2)]:
        for i in range(n):
            city, frame = ["aachen", "bochum"][i % 2], f"{['aachen', 'bochum'][i % 2]}_{i:06}_000019"
            picture, mask = scene(rng, i, (128, 64))
            ids = np.where(mask, 26, 7).astype(np.uint8)
            ids[:4] = 3
            save(picture, out / f"cityscapes/leftImg8bit/{split}/{city}/{frame}_leftImg8bit.png")
            save(Image.fromarray(ids), out / f"cityscapes/gtFine/{split}/{city}/{frame}_gtFine_labelIds.png")
    for video in ["CARDS_COURTYARD_B_T", "CARDS_COURTYARD_H_S", "CARDS_LIVINGROOM_B_T"]:
        for i in range(2):
            picture, mask = scene(rng, i, (128, 72))
            save(picture, out / f"egohands/images/{video}/frame_{i:04}.jpg", quality=80)
            save(Image.fromarray(mask * (1 + i)), out / f"egohands/labels/{video}/frame_{i:04}.png")
    for split, n in [("train", 4), ("test", 2)]:
        for i in range(n):
            picture, mask = scene(rng, i, (48, 48))
            depth = np.where(mask, 90, 200).astype(np.uint8)
            base = out / f"thor_depth_prediction/{split}/FloorPlan{i % 2}"
            save(picture, base / f"{i:04}_rgb.jpg", quality=80)
            save(Image.fromarray(depth), base / f"{i:04}_depth.jpg", quality=95)
            picture, mask = scene(rng, i, (48, 48))
            depth = np.where(mask, 1500, 4000).astype(np.uint16)
            depth[:3, :3] = 65535
            name = f"point_{i}_view_0_domain"
            save(picture, out / f"taskonomy/{split}/rgb/allensville/{name}_rgb.png")
            save(Image.fromarray(depth), out / f"taskonomy/{split}/depth_zbuffer/allensville/{name}_depth_zbuffer.png")
            picture, mask = scene(rng, i, (48, 36))
            save(picture, out / f"nyu/{split}/images/{i:05}.png")
            save(Image.fromarray(np.where(mask, 1.5, 3.25).astype(np.float32)), out / f"nyu/{split}/depths/{i:05}.tiff")
            save(Image.fromarray((mask * 255).astype(np.uint8)), out / f"nyu/{split}/walkable/{i:05}.png")
    for i in range(10):
        picture, mask = scene(rng, i, (124, 38))
        root = out / "KITTI/training"
        save(picture, root / f"image_2/{i:06}_10.png")
        save(Image.fromarray(np.roll(np.asarray(picture), 3, 1)), root / f"image_2/{i:06}_11.png")
        flow = np.zeros((38, 124, 3), np.uint16)
        flow[10:, :, 0], flow[10:, :, 1], flow[10:, :, 2] = 32768 + 3 * 64, 32768, 1
        png16(root / f"flow_occ/{i:06}_10.png", flow)
        shown = np.zeros((38, 124, 3), np.uint8)
        shown[10:] = (200, 90, 60)
        save(Image.fromarray(shown), root / f"viz_flow_occ/{i:06}_10.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default="server/tests/miniatures")
    make(parser.parse_args().out)
