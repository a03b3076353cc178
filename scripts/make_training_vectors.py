#!/usr/bin/env python3
"""Make the vectors of heads, losses, optimisers, schedules, augmentation and probes with
PyTorch, torchvision, Pillow and scikit-learn, once.

    python scripts/make_training_vectors.py [--out server/lab/tests/vectors]

Every head is trained for 20 steps of Adam and of SGD on seeded inputs, with the loss of its
tasks; its first output, first gradients, losses and final weights are kept.
"""

import argparse
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
import torchvision.transforms.functional as TF
from PIL import Image
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression
from torch import nn

from make_test_vectors import normal, sampled, seeded_input, uniform

STEPS = 20
torch.set_num_threads(2)


def seeded(module, names):
    """Gives a module's parameters the engine's initial values; `names` maps ours to its."""
    params = dict(module.named_parameters())
    for ours, theirs in names.items():
        w = params[f"{theirs}.weight"]
        bound = 1 / np.sqrt(np.prod(w.shape[1:]))
        for part in ["weight", "bias"]:
            p = params.get(f"{theirs}.{part}")
            if p is not None:
                v = (uniform(0, f"{ours}.{part}", p.numel()) * 2 - 1) * bound
                p.data.copy_(torch.from_numpy(v.astype(np.float32).reshape(p.shape)))


def classes(name, n, k):
    return torch.from_numpy((uniform(0, name, n) * k).astype(np.int64))


class Multi(nn.Module):
    def __init__(self, k, e, classes):
        super().__init__()
        self.hidden, self.output = nn.Linear(k * e, 12), nn.Linear(12, classes)

    def forward(self, x):
        return self.output(F.relu(self.hidden(x)))


class Decoder(nn.Module):
    """PixelWise head over maps, the finest first; with `fuse` the maps are fused first."""

    def __init__(self, channels, widths, outputs):
        super().__init__()
        self.reduce = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(channels, widths)) if widths else None
        widths = widths or channels
        self.up = nn.ModuleList(
            nn.Conv2d(widths[i], 4 * (widths[i - 1] if i else outputs), 3, padding=1) for i in reversed(range(5)))

    def forward(self, maps):
        if self.reduce:
            maps = [r(m) for r, m in zip(self.reduce, maps)]
        x = maps[4]
        for i, up in enumerate(self.up):
            x = F.pixel_shuffle(up(x), 2)
            if i < 4:
                skip = maps[3 - i]
                x = F.interpolate(F.leaky_relu(x), size=skip.shape[2:], mode="bilinear", align_corners=False) + skip
        return x


class ConvNorm(nn.Module):
    def __init__(self, i, o, k, dilation, bias, eps, momentum):
        super().__init__()
        self.conv = nn.Conv2d(i, o, k, padding=dilation * (k // 2), dilation=dilation, bias=bias)
        self.norm = nn.BatchNorm2d(o, eps=eps, momentum=momentum)

    def forward(self, x):
        return self.norm(self.conv(x))


class DilatedBottleneck(nn.Module):
    def __init__(self, i, inner, o, dilation, first):
        super().__init__()
        self.conv1 = ConvNorm(i, inner, 1, 1, False, 1e-5, 0.1)
        self.conv2 = ConvNorm(inner, inner, 3, dilation, False, 1e-5, 0.1)
        self.conv3 = ConvNorm(inner, o, 1, 1, False, 1e-5, 0.1)
        self.downsample = ConvNorm(i, o, 1, 1, False, 1e-5, 0.1) if first else None

    def forward(self, x):
        y = self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))
        return F.relu(y + (self.downsample(x) if self.downsample else x))


class DeepLab(nn.Module):
    LOW, HIGH, INNER, OUTER, WIDTH, REDUCED = 6, 10, 4, 16, 8, 5

    def __init__(self, outputs, quirks):
        super().__init__()
        momentum = 3e-4
        eps, m = (momentum, 0.1) if quirks else (1e-5, momentum)
        self.quirks = quirks
        self.block4 = nn.ModuleList(
            DilatedBottleneck(self.OUTER if i else self.HIGH, self.INNER, self.OUTER, d, i == 0)
            for i, d in enumerate([2, 4, 2]))
        w = self.WIDTH
        self.aspp = nn.ModuleList(
            ConvNorm(self.OUTER, w, k, d, False, eps, m) for k, d in [(1, 1), (3, 6), (3, 12), (3, 18), (1, 1)])
        self.joined = ConvNorm(5 * w, w, 1, 1, False, eps, m)
        self.reducer = ConvNorm(self.LOW, self.REDUCED, 1, 1, True, 1e-5, momentum)
        self.decoder = nn.ModuleList([ConvNorm(w + self.REDUCED, w, 3, 1, True, 1e-5, momentum),
                                      ConvNorm(w, w, 3, 1, True, 1e-5, momentum)])
        self.classes = nn.Conv2d(w, outputs, 3, padding=1)

    def train(self, mode=True):
        super().train(mode)
        self.block4.eval()
        if self.quirks:
            self.reducer.train()
        return self

    def forward(self, inputs):
        low, x, size = inputs
        for block in self.block4:
            x = block(x)
        levels = [F.relu(conv(x)) for conv in self.aspp[:4]]
        mean = F.relu(self.aspp[4](x.mean((2, 3), keepdim=True)))
        levels.append(F.interpolate(mean, x.shape[2:], mode="bilinear", align_corners=True))
        x = F.relu(self.joined(torch.cat(levels, 1)))
        x = F.interpolate(x, low.shape[2:], mode="bilinear", align_corners=True)
        x = torch.cat([F.relu(self.reducer(low)), x], 1)
        for conv in self.decoder:
            x = F.relu(conv(x))
        return F.interpolate(self.classes(x), size, mode="bilinear", align_corners=True)


def deeplab_names():
    names = {}
    for i in range(3):
        for part in ["conv1", "conv2", "conv3"] + (["downsample"] if i == 0 else []):
            names[f"block4.{i}.{part}"] = f"block4.{i}.{part}.conv"
    names |= {f"aspp.{i}": f"aspp.{i}.conv" for i in range(5)}
    names |= {"aspp.joined": "joined.conv", "reducer": "reducer.conv", "classes": "classes"}
    return names | {f"decoder.{i}": f"decoder.{i}.conv" for i in range(2)}


def run(name, make, names, inputs, loss, vectors, buffers=None):
    """20 steps of each optimiser; `names` maps the engine's layers to the module's."""
    for kind in ["adam", "sgd"]:
        module = make()
        seeded(module, names)
        if buffers:
            buffers(module)
        module.train()
        params = module.parameters()
        opt = torch.optim.Adam(params, lr=1e-3) if kind == "adam" else torch.optim.SGD(params, lr=1e-2, momentum=0.9)
        losses = []
        for step in range(STEPS + 1):
            out = module(inputs)
            value = loss(out)
            losses.append(value.item())
            if step == STEPS:
                break
            opt.zero_grad()
            value.backward()
            if step == 0 and kind == "adam":
                sampled(f"{name}.", {"output": out.detach().numpy()}, vectors)
                grads = dict(module.named_parameters())
                for ours, theirs in names.items():
                    for part in ["weight", "bias"]:
                        p = grads.get(f"{theirs}.{part}")
                        if p is not None:
                            sampled(f"{name}.gradient.", {f"{ours}.{part}": p.grad.numpy()}, vectors)
            opt.step()
        vectors[f"{name}.{kind}.losses"] = np.array(losses, dtype=np.float64)
        state = dict(module.named_parameters())
        for ours, theirs in names.items():
            sampled(f"{name}.{kind}.", {f"{ours}.weight": state[f"{theirs}.weight"].detach().numpy()}, vectors)
        module.eval()
        with torch.no_grad():
            sampled(f"{name}.{kind}.", {"tested": module(inputs).numpy()}, vectors)
        norms = {k: v for k, v in module.state_dict().items() if k.endswith("running_mean") or k.endswith("running_var")}
        if norms:
            total = torch.cat([v.reshape(-1) for v in norms.values()])
            vectors[f"{name}.{kind}.running"] = np.array([total.sum().item(), total.square().sum().item()])


def heads(out):
    v = {}
    x = torch.from_numpy(seeded_input("embedding", (8, 32)))
    y = classes("classes", 8, 5)
    run("linear", lambda: nn.Sequential(nn.Linear(32, 5)), {"linear": "0"}, x, lambda o: F.cross_entropy(o, y), v)
    for k in [2, 6]:
        x = torch.from_numpy(seeded_input(f"embeddings{k}", (8, k * 16)))
        run(f"multi{k}", lambda: Multi(k, 16, 5), {"hidden": "hidden", "output": "output"}, x,
            lambda o: F.cross_entropy(o, y), v)
    channels, sizes = [6, 8, 10, 12, 16], [(24, 20), (12, 10), (6, 5), (3, 3), (2, 2)]
    maps = [torch.from_numpy(seeded_input(f"map{i}", (2, c, *s))) for i, (c, s) in enumerate(zip(channels, sizes))]
    up = {f"up.{i}": f"up.{i}" for i in range(5)}
    reduce = {f"reduce.{i}": f"reduce.{i}" for i in range(5)}
    mask = (classes("mask", 2 * 48 * 40, 2)).reshape(2, 48, 40)
    run("pixelwise.bce", lambda: Decoder(channels, None, 1), up, maps,
        lambda o: F.binary_cross_entropy_with_logits(o[:, 0], mask.float()), v)
    depth = torch.from_numpy(uniform(0, "depth", 2 * 48 * 40).astype(np.float32)).reshape(2, 48, 40)
    run("pixelwise.l1", lambda: Decoder(channels, None, 1), up, maps, lambda o: F.l1_loss(o[:, 0], depth), v)
    double = [torch.from_numpy(seeded_input(f"pair{i}", (2, 2 * c, *s)))
              for i, (c, s) in enumerate(zip(channels, sizes))]
    flow = torch.from_numpy(uniform(0, "flow", 2 * 48 * 40).astype(np.float32)).reshape(2, 48, 40)
    flow = torch.where(flow < 0.4, torch.zeros(()), flow)
    run("siamese", lambda: Decoder([2 * c for c in channels], channels, 1), up | reduce, double,
        lambda o: F.l1_loss(o[:, 0][flow != 0], flow[flow != 0]), v)
    low = torch.from_numpy(seeded_input("low", (3, 6, 13, 11)))
    high = torch.from_numpy(seeded_input("high", (3, 10, 7, 6)))
    labels = classes("labels", 3 * 50 * 42, 5).reshape(3, 50, 42)

    def frozen(module):
        for name, b in module.block4.named_buffers():
            ours = name.replace(".norm", ".norm")
            if name.endswith("running_mean"):
                b.copy_(torch.from_numpy(uniform(0, f"block4.{ours}", b.numel()).astype(np.float32) - 0.5))
            if name.endswith("running_var"):
                b.copy_(torch.from_numpy(uniform(0, f"block4.{ours}", b.numel()).astype(np.float32) + 0.5))

    weights = torch.tensor([0.1, 1, 1, 1, 1])
    run("deeplab", lambda: DeepLab(5, False), deeplab_names(), (low, high, (50, 42)),
        lambda o: F.cross_entropy(o, labels), v, frozen)
    run("deeplab.virb", lambda: DeepLab(5, True), deeplab_names(), (low, high, (50, 42)),
        lambda o: F.cross_entropy(o, labels, weight=weights), v, frozen)
    save_file(v, out / "training.safetensors")


def schedules(out):
    """Learning rates and momenta of every schedule before each step, over 10 epochs of 7 batches."""
    v = {}
    for name, make, unit in [
        ("step", lambda o: torch.optim.lr_scheduler.StepLR(o, 3, gamma=0.1), "epoch"),
        ("cycle", lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.01, epochs=10, steps_per_epoch=1,
                                                                anneal_strategy="linear"), "epoch"),
        ("poly", lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda x: (1 - x / 70) ** 0.9), "batch"),
    ]:
        opt = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.01)
        schedule = make(opt)
        rates = []
        for _ in range(10):
            for _ in range(7):
                rates.append([opt.param_groups[0]["lr"], opt.param_groups[0]["momentum"]])
                opt.step()
                if unit == "batch":
                    schedule.step()
            if unit == "epoch":
                schedule.step()
        v[name] = np.array(rates)
    save_file(v, out / "schedules.safetensors")


def colours(out):
    photo = Image.open("public/samples/chelsea.png").convert("RGB").resize((64, 48))
    v = {"photo": np.asarray(photo)}
    for name, f, values in [("brightness", TF.adjust_brightness, [0.6, 1.0, 1.37]),
                            ("contrast", TF.adjust_contrast, [0.65, 1.4]),
                            ("saturation", TF.adjust_saturation, [0.6, 1.33]),
                            ("hue", TF.adjust_hue, [-0.2, -0.05, 0.13])]:
        for i, value in enumerate(values):
            v[f"{name}.{i}"] = np.asarray(f(photo, value))
            v[f"{name}.{i}.factor"] = np.array([value])
    v["grey"] = np.asarray(TF.rgb_to_grayscale(photo, 3))
    numbers = (normal(0, "numbers", 40 * 30) * 5).astype(np.float32).reshape(30, 40)
    v["numbers"] = np.asarray(Image.fromarray(numbers, mode="F").resize((224, 224)))
    v["numbers.small"] = np.asarray(Image.fromarray(numbers, mode="F").resize((13, 9)))
    save_file(v, out / "colours.safetensors")


def probes(out):
    """Cosine neighbours with weighted votes, and scikit-learn's logistic regression."""
    def blobs(name, n):
        y = np.arange(n) % 4
        centres = normal(0, "centres", 4 * 16).reshape(4, 16)
        return (centres[y] + 1.4 * normal(0, name, n * 16).reshape(n, 16)).astype(np.float32), y
    (x, y), (tx, ty) = blobs("train", 240), blobs("test", 120)
    v = {"train": x, "test": tx}
    a = x / np.linalg.norm(x, axis=1, keepdims=True)
    b = tx / np.linalg.norm(tx, axis=1, keepdims=True)
    sims = torch.from_numpy(b @ a.T)
    for k in [10, 20, 100, 200]:
        s, i = sims.topk(k, dim=1)
        votes = torch.zeros(len(tx), 4).scatter_add_(1, torch.from_numpy(y)[i], (s / 0.07).exp())
        v[f"knn.{k}"] = (votes / votes.sum(1, keepdim=True)).numpy()
    mean, std = x.mean(0), x.std(0) + 1e-6
    fit = LogisticRegression(C=1.0, max_iter=10000, tol=1e-10).fit((x - mean) / std, y)
    v["logistic"] = fit.predict_proba((tx - mean) / std).astype(np.float32)
    save_file(v, out / "probes.safetensors")


def metrics(out):
    """Metrics over batches of four test samples, written down from their definitions."""
    n, size = 10, 4
    logits = torch.from_numpy(normal(0, "metric.logits", n * 4 * 6 * 5).astype(np.float32)).reshape(n, 4, 6, 5)
    labels = classes("metric.labels", n * 6 * 5, 4).reshape(n, 6, 5)
    mask = logits[:, 1] > 0
    truth = labels == 1
    v = {"top1": (logits[:, :, 0, 0].argmax(1) == labels[:, 0, 0]).float().mean()}
    v["l1"] = (logits[:, 0] - logits[:, 1]).abs().mean()
    v["iou"] = (((mask & truth).sum((1, 2)) + 1e-8) / ((mask | truth).sum((1, 2)) + 1e-8)).mean()
    guess = logits.argmax(1)
    total, inside = 0.0, 0.0
    for i in range(0, n, size):
        g, t = guess[i:i + size], labels[i:i + size]
        ious = [(((g == c) & (t == c)).sum((1, 2)) + 1e-8) / (((g == c) | (t == c)).sum((1, 2)) + 1e-8)
                for c in t.unique() if c != 0]
        total += torch.stack([x.mean() for x in ious]).mean().item() * len(g)
        near, known = (logits[i:i + size, 2] - logits[i:i + size, 3]).abs() <= 0.05, t != 0
        inside += ((near & known).sum() / known.sum()).item() * len(g)
    v["miou.virb"] = torch.tensor(total / n)
    v["flow.virb"] = torch.tensor(inside / n)
    whole = torch.zeros(4, 4)
    for t in range(4):
        for g in range(4):
            whole[t, g] = ((labels == t) & (guess == g)).sum()
    hit = whole.diag()
    v["miou.standard"] = (hit / (whole.sum(0) + whole.sum(1) - hit)).mean()
    save_file({k: np.array([float(x)]) for k, x in v.items()}, out / "metrics.safetensors")


def cka(out):
    a = (normal(0, "cka.a", 50 * 12)).astype(np.float32).reshape(50, 12)
    b = (normal(0, "cka.b", 50 * 9)).astype(np.float32).reshape(50, 9) + a[:, :9]
    c = lambda m: m - m.mean(0)
    norm = lambda x, y: np.linalg.norm(c(y).T.astype(np.float64) @ c(x).astype(np.float64)) ** 2
    value = norm(a, b) / np.sqrt(norm(a, a) * norm(b, b))
    save_file({"a": a, "b": b, "cka": np.array([value])}, out / "cka.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default="server/lab/tests/vectors")
    out = parser.parse_args().out
    heads(out)
    schedules(out)
    colours(out)
    probes(out)
    metrics(out)
    cka(out)
