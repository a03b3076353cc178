#!/usr/bin/env python3
"""Trains an encoder in PyTorch as `virboard pretrain` does, to compare whole runs with. Method by method
it is written as the authors' programs are, and shares nothing with the engine but the settings.

    python scripts/pretrain_peer.py --config server/samples/pretraining/miniature_simclr.yaml \\
        --datasets data/datasets --seed 0 --out PeerSimCLR
    virboard encoder add PeerSimCLR.safetensors --key PeerSimCLR

`--config` is the engine's own YAML: Supervised, SimCLR, MoCo v1 and v2 of a ResNet of basic blocks (resnet18,
resnet34) of any width, on one data set with an index.csv, by SGD. Whatever else a file asks for is refused, never
passed over. `--epochs N` replaces its epochs; 0 writes the random weights that a run begins with.

- Pictures are decoded once and kept, made smaller to a shorter side of `data.side` (torchvision's `Resize`).
- Views are made picture by picture by torchvision's transforms on Pillow's pictures, in a process of their own.
- The network is torchvision's (its `BasicBlock` and initial values), in f32, channels last; the optimiser is `torch.optim.SGD`.
- Each epoch prints its mean loss; every `neighbours.every` epochs the data set's test split is classified by the
  10 nearest neighbours in its training split (cosine, weights exp(s / 0.07)), pictures resized to the first view's side.

Writes OUT.safetensors, the encoder under torchvision's names, and OUT.json, settings and curve.
Needs torch, torchvision, numpy, Pillow, PyYAML and safetensors.
"""

import argparse
import copy
import csv
import json
import math
import pathlib
import random
import time

import numpy as np
import torch
import torch.nn.functional as F
import torchvision.transforms as T
import torchvision.transforms.functional as TF
import yaml
from PIL import Image, ImageFilter
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models.resnet import BasicBlock

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BLOCKS = {"resnet18": [2, 2, 2, 2], "resnet34": [3, 4, 6, 3]}
K, VOTES = 10, 0.07  # neighbours, and the temperature of their votes


# Settings


def take(settings, known, place):
    """The values of `known`, which maps names to defaults (`...` for none), or an end with what is not understood."""
    strange = sorted(set(settings) - set(known))
    missing = [name for name, default in known.items() if default is ... and name not in settings]
    if strange or missing:
        raise SystemExit(f"{place}: this script does not know {strange}, and misses {missing}")
    return argparse.Namespace(**{name: settings.get(name, default) for name, default in known.items()})


def read(path):
    known = {"method": ..., "network": ..., "data": ..., "views": ..., "optimiser": ..., "learning_rate": ...,
             "warm_up": {}, "schedule": {"constant": {}}, "weight_decay": 0.0, "batch": ..., "epochs": ...,
             "neighbours": None, "seed": 0}
    run = take(yaml.safe_load(path.read_text()), known, path.name)
    run.network = take(run.network, {"architecture": ..., "width": 64, "blocks": None}, "network")
    run.data = take(run.data, {"sources": ..., "side": None}, "data")
    run.warm_up = take(run.warm_up, {"from": 0.0, "steps": 0}, "warm_up")
    run.momentum = take(take(run.optimiser, {"sgd": ...}, "optimiser").sgd, {"momentum": ...}, "sgd").momentum
    run.last = take(take(run.schedule, {"cosine": ...}, "schedule").cosine, {"last": 0.0}, "cosine").last
    return run


# Pictures and views


class Pictures:
    """The rows of a split of a data set's index.csv, sorted by path; classes are numbered by name."""

    def __init__(self, folder, split):
        with open(folder / "index.csv", newline="") as file:
            rows = [row for row in csv.DictReader(file)]
        names = sorted({row["label"] for row in rows if row["split"] == "train"})
        rows = sorted((row["image"], row["label"]) for row in rows if row["split"] == split)
        self.paths = [folder / image for image, _ in rows]
        self.classes = [names.index(label) for _, label in rows]
        self.count = len(names)

    def decoded(self):
        return [Image.open(path).convert("RGB") for path in self.paths]


class Blur:
    """MoCo's and SimCLR's, by Pillow."""

    def __init__(self, sigma):
        self.sigma = sigma

    def __call__(self, picture):
        return picture.filter(ImageFilter.GaussianBlur(radius=random.uniform(*self.sigma)))


def view(form):
    known = {"count": 1, "side": ..., "scale": ..., "ratio": (3 / 4, 4 / 3), "flip": 0.5, "jitter": None, "grey": 0.0,
             "grey_first": False, "blur": None}
    form = take(form, known, "views")
    steps = []
    if form.jitter:
        j = take(form.jitter, {"brightness": ..., "contrast": ..., "saturation": ..., "hue": ..., "p": 1.0}, "jitter")
        steps.append(T.RandomApply([T.ColorJitter(j.brightness, j.contrast, j.saturation, j.hue)], p=j.p))
    if form.grey:
        steps.insert(0 if form.grey_first else len(steps), T.RandomGrayscale(p=form.grey))
    if form.blur:
        blur = take(form.blur, {"sigma": ..., "p": ...}, "blur")
        steps.append(T.RandomApply([Blur(blur.sigma)], p=blur.p))
    cut = T.RandomResizedCrop(form.side, tuple(form.scale), tuple(form.ratio))
    steps = [cut, *steps, T.RandomHorizontalFlip(form.flip), np.array]
    return [T.Compose(steps)] * form.count


class Views(Dataset):
    """The views of each picture in 8 bits, S x S x 3, and its class."""

    def __init__(self, pictures, side, forms):
        def smaller(picture):
            return TF.resize(picture, side) if side and side < min(picture.size) else picture

        self.pictures, self.classes = [smaller(p) for p in pictures.decoded()], pictures.classes
        self.views = [made for form in forms for made in view(form)]

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, i):
        return [made(self.pictures[i]) for made in self.views], self.classes[i]


def standardised(pictures):
    """What a network reads of pictures in 8 bits, N x S x S x 3: `ToTensor` and `Normalize` of a batch, channels last."""
    return ((pictures.float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2)


# Networks


class Encoder(nn.Module):
    """torchvision's ResNet of basic blocks, without classes, from `width` channels on."""

    def __init__(self, width, blocks):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        self.length = width
        for i, count in enumerate(blocks):
            out, stride = width * 2**i, 1 if i == 0 else 2
            change = None
            if stride > 1:
                change = nn.Sequential(nn.Conv2d(self.length, out, 1, stride, bias=False), nn.BatchNorm2d(out))
            first = BasicBlock(self.length, out, stride, change)
            setattr(self, f"layer{i + 1}", nn.Sequential(first, *[BasicBlock(out, out) for _ in range(count - 1)]))
            self.length = out
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))


def projection(length, form):
    form = take(form, {"hidden": None, "out": ..., "batch_norm": False}, "projection")
    if form.hidden is None:
        return nn.Linear(length, form.out)
    norm = [nn.BatchNorm1d(form.hidden)] if form.batch_norm else []
    return nn.Sequential(nn.Linear(length, form.hidden), *norm, nn.ReLU(), nn.Linear(form.hidden, form.out))


# Methods


class Supervised(nn.Module):
    """As pytorch/examples/imagenet."""

    def __init__(self, encoder, classes, batch, form):
        super().__init__()
        take(form, {}, "supervised")
        self.encoder, self.fc = encoder, nn.Linear(encoder.length, classes)

    def forward(self, views, classes):
        return F.cross_entropy(self.fc(self.encoder(views[0])), classes)


class SimClr(nn.Module):
    """Chen et al. 2020, equation 1 and algorithm 1."""

    def __init__(self, encoder, classes, batch, form):
        super().__init__()
        form = take(form, {"projection": ..., "temperature": ...}, "simclr")
        self.encoder, self.head = encoder, projection(encoder.length, form.projection)
        self.temperature = form.temperature

    def forward(self, views, classes):
        z = F.normalize(self.head(self.encoder(torch.cat(views))), dim=1)
        count = len(z)
        similar = (z @ z.T / self.temperature).masked_fill(torch.eye(count, dtype=torch.bool), float("-inf"))
        return F.cross_entropy(similar, (torch.arange(count) + count // 2) % count)


class Moco(nn.Module):
    """As facebookresearch/moco, moco/builder.py, on one device: there is one group to normalise, which no shuffling changes."""

    def __init__(self, encoder, classes, batch, form):
        super().__init__()
        known = {"projection": ..., "temperature": ..., "queue": ..., "momentum": ..., "groups": 1}
        self.form = take(form, known, "moco")
        if self.form.groups != 1 or self.form.queue % batch:
            raise SystemExit("moco: this script has one group, and whole batches have to fill the queue")
        self.encoder = encoder
        self.query = nn.Sequential(encoder, projection(encoder.length, self.form.projection))
        self.key = copy.deepcopy(self.query).requires_grad_(False)
        width = self.form.projection["out"]
        self.queue, self.at = F.normalize(torch.randn(width, self.form.queue), dim=0), 0

    @torch.no_grad()
    def keys(self, views):
        for new, old in zip(self.query.parameters(), self.key.parameters()):
            old.mul_(self.form.momentum).add_(new, alpha=1 - self.form.momentum)
        return F.normalize(self.key(views), dim=1)

    def forward(self, views, classes):
        q, k = F.normalize(self.query(views[0]), dim=1), self.keys(views[1])
        logits = torch.cat([(q * k).sum(1, keepdim=True), q @ self.queue.clone()], 1) / self.form.temperature
        self.queue[:, self.at : self.at + len(k)] = k.T
        self.at = (self.at + len(k)) % self.form.queue
        return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))


METHODS = {"supervised": Supervised, "simclr": SimClr, "moco_v1": Moco, "moco_v2": Moco}


# Runs


def rates(run, steps):
    """The factor of the learning rate at each step: a line up to the schedule's, which begins behind it."""
    warm, total = min(run.warm_up.steps, run.epochs * steps), run.epochs * steps
    begin = getattr(run.warm_up, "from") / run.learning_rate

    def factor(step):
        if step < warm:
            return begin + (1 - begin) * step / warm
        share = (step - warm) / max(1, total - warm)
        return run.last + (1 - run.last) * 0.5 * (1 + math.cos(math.pi * share))

    return factor


class Examiner:
    """Classifies a test split by its neighbours in the training split."""

    def __init__(self, folder, side):
        self.splits = []
        for pictures in [Pictures(folder, "train"), Pictures(folder, "test")]:
            resized = np.stack([np.asarray(TF.resize(p, [side, side])) for p in pictures.decoded()])
            self.splits.append((torch.from_numpy(resized), torch.tensor(pictures.classes)))

    @torch.no_grad()
    def score(self, encoder):
        encoder.eval()
        of_split = [torch.cat([encoder(standardised(part)) for part in x.split(256)]) for x, _ in self.splits]
        encoder.train()
        bank, tests = (F.normalize(x, dim=1) for x in of_split)
        classes, truths = self.splits[0][1], self.splits[1][1]
        similar, nearest = (tests @ bank.T).topk(K, dim=1)
        votes = torch.zeros(len(tests), int(classes.max()) + 1)
        votes.scatter_add_(1, classes[nearest], ((similar - 1) / VOTES).exp())
        return (votes.argmax(1) == truths).double().mean().item()


def train(run, folder, model):
    pictures = Pictures(folder, "train")
    data = Views(pictures, run.data.side, run.views)
    loader = DataLoader(data, run.batch, shuffle=True, drop_last=True, num_workers=1)
    groups = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(groups, run.learning_rate, run.momentum, weight_decay=run.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rates(run, len(loader)))
    examiner = Examiner(folder, run.views[0]["side"]) if run.neighbours else None
    curve = []
    for epoch in range(1, run.epochs + 1):
        began, losses = time.time(), []
        for views, classes in loader:
            loss = model([standardised(view) for view in views], classes)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        mean = sum(losses) / len(losses)
        if not math.isfinite(mean):
            raise SystemExit(f"the loss of epoch {epoch} is {mean}")
        rate, neighbours = len(losses) * run.batch / (time.time() - began), None
        if examiner and (epoch % run.neighbours["every"] == 0 or epoch == run.epochs):
            neighbours = examiner.score(model.encoder)
        curve.append({"epoch": epoch, "loss": mean, "neighbours": neighbours})
        told = "" if neighbours is None else f", neighbours {100 * neighbours:.1f} %"
        print(f"epoch {epoch}/{run.epochs}: loss {mean:.4f}{told}, {rate:.0f} pictures a second", flush=True)
    return curve


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=pathlib.Path, required=True)
    parser.add_argument("--datasets", type=pathlib.Path, default=pathlib.Path("data/datasets"))
    parser.add_argument("--seed", type=int, help="instead of the settings' one")
    parser.add_argument("--epochs", type=int, help="instead of the settings' ones; 0 for random weights")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    run = read(args.config)
    run.seed = run.seed if args.seed is None else args.seed
    run.epochs = run.epochs if args.epochs is None else args.epochs
    torch.set_num_threads(args.threads)
    torch.manual_seed(run.seed)
    random.seed(run.seed)
    [source], [(name, form)] = run.data.sources, run.method.items()
    folder = args.datasets / source
    if run.network.architecture not in BLOCKS or name not in METHODS:
        raise SystemExit(f"this script trains {', '.join(BLOCKS)} by {', '.join(METHODS)}")
    encoder = Encoder(run.network.width, run.network.blocks or BLOCKS[run.network.architecture])
    model = METHODS[name](encoder, Pictures(folder, "train").count, run.batch, form)
    model.to(memory_format=torch.channels_last)
    curve = train(run, folder, model) if run.epochs else []
    tensors = {key: value.contiguous() for key, value in encoder.state_dict().items()}
    save_file(tensors, args.out.with_suffix(".safetensors"))
    about = {"settings": yaml.safe_load(args.config.read_text()), "seed": run.seed, "epochs": run.epochs,
             "torch": torch.__version__, "curve": curve}
    args.out.with_suffix(".json").write_text(json.dumps(about))


if __name__ == "__main__":
    main()
