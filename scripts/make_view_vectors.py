#!/usr/bin/env python3
"""Make the vectors of the views that encoders are trained on with torchvision and Pillow, once.

    python scripts/make_view_vectors.py [--out server/lab/tests/vectors]

views.safetensors holds a small photograph, what single operations make of it, and the distributions of what torchvision
draws: for every quantity some values and the share of draws that are at most each of them, and the number of draws.
"""

import argparse
import pathlib
import random

import numpy as np
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as TF
from PIL import Image, ImageFilter
from safetensors.numpy import save_file

DRAWS = 20000
PICTURES = 4000
POINTS = 24
PIECES = [(0, 0, 60, 44), (3, 5, 20, 37), (11, 2, 40, 30), (20, 10, 7, 9), (50, 40, 1, 1)]
SIGMAS = [0.1, 0.4, 0.577, 1.0, 1.37, 2.0, 5.5]
SIZE = (60, 44)


def photo():
    return Image.open("public/samples/chelsea.png").convert("RGB").resize(SIZE)


def operations(v):
    picture = photo()
    v["photo"] = np.asarray(picture)
    for i, (x, y, w, h) in enumerate(PIECES):
        v[f"piece.{i}"] = np.asarray(TF.resized_crop(picture, y, x, h, w, [24, 24], antialias=True))
    v["pieces"] = np.array(PIECES, dtype=np.int64)
    small = picture.crop((20, 8, 40, 22))
    for i, sigma in enumerate(SIGMAS):
        v[f"blur.{i}"] = np.asarray(small.filter(ImageFilter.GaussianBlur(radius=sigma)))
    v["sigmas"] = np.array(SIGMAS)
    v["plain.squash"] = np.asarray(TF.resize(picture, [20, 20], antialias=True))
    v["plain.centre"] = np.asarray(T.Compose([T.Resize(27), T.CenterCrop(20)])(picture))
    tall = picture.crop((0, 0, 21, 44))
    v["plain.tall"] = np.asarray(T.Compose([T.Resize(20), T.CenterCrop(20)])(tall))


def distribution(v, name, values):
    """Some values of a quantity, and the share of its draws that are at most each of them."""
    values = np.sort(np.asarray(values, dtype=np.float64))
    at = np.unique(np.quantile(values, np.linspace(0.01, 0.99, POINTS), method="nearest"))
    v[f"{name}.values"] = at
    v[f"{name}.shares"] = np.searchsorted(values, at, side="right") / len(values)
    v[f"{name}.draws"] = np.array([len(values)], dtype=np.int64)


def pieces(v):
    for name, size, scale in [("wide", (96, 64), (0.2, 1.0)), ("small", (64, 80), (0.05, 0.14)),
                              ("strip", (120, 24), (0.5, 1.0))]:
        picture = Image.new("RGB", size)
        drawn = [T.RandomResizedCrop.get_params(picture, scale, (3 / 4, 4 / 3)) for _ in range(DRAWS)]
        y, x, h, w = (np.array(column) for column in zip(*drawn))
        for part, values in [("x", x), ("y", y), ("width", w), ("height", h), ("area", w * h), ("shape", w - h)]:
            distribution(v, f"{name}.{part}", values)


def colours(v):
    jitter = T.ColorJitter(0.8, 0.4, 1.5, 0.2)
    drawn = [jitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue) for _ in range(DRAWS)]
    for i, name in enumerate(["order", "brightness", "contrast", "saturation", "hue"]):
        values = [d[i] for d in drawn]
        if name == "order":
            values = [int(o[0] * 64 + o[1] * 16 + o[2] * 4 + o[3]) for o in values]
        distribution(v, f"jitter.{name}", values)


class Blur:
    """MoCo's."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def __call__(self, x):
        return x.filter(ImageFilter.GaussianBlur(radius=random.uniform(self.low, self.high)))


def whole(v):
    """What whole pipelines make of the photograph: means of channels, deviation and sharpness of 24 x 24 pixels."""
    pipelines = {
        "moco_v1": [T.RandomResizedCrop(24, scale=(0.2, 1.0), antialias=True), T.RandomGrayscale(p=0.2),
                    T.ColorJitter(0.4, 0.4, 0.4, 0.4), T.RandomHorizontalFlip()],
        "moco_v2": [T.RandomResizedCrop(24, scale=(0.2, 1.0), antialias=True),
                    T.RandomApply([T.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8), T.RandomGrayscale(p=0.2),
                    T.RandomApply([Blur(0.1, 2.0)], p=0.5), T.RandomHorizontalFlip()],
        "supervised": [T.RandomResizedCrop(24, antialias=True), T.RandomHorizontalFlip()],
    }
    for name, steps in pipelines.items():
        run = T.Compose(steps)
        views = np.stack([np.asarray(run(photo_once), dtype=np.float64) for photo_once in [photo()] for _ in range(PICTURES)])
        left, right = views[:, :, :12].mean((1, 2, 3)), views[:, :, 12:].mean((1, 2, 3))
        for part, values in [("red", views[..., 0].mean((1, 2))), ("blue", views[..., 2].mean((1, 2))),
                             ("spread", (views[..., 0] - views[..., 2]).mean((1, 2))),
                             ("deviation", views[..., 1].std((1, 2))), ("sides", left - right),
                             ("sharpness", np.abs(np.diff(views[..., 1], axis=2)).mean((1, 2)))]:
            distribution(v, f"{name}.{part}", values)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("server/lab/tests/vectors"))
    out = parser.parse_args().out
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.seed(0)
    vectors = {}
    for make in [operations, pieces, colours, whole]:
        make(vectors)
    save_file({name: np.ascontiguousarray(value) for name, value in vectors.items()}, out / "views.safetensors")
