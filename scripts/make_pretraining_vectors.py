#!/usr/bin/env python3
"""Make the vectors of the methods of pre-training with PyTorch, once.

    python scripts/make_pretraining_vectors.py [--out server/lab/tests/vectors] [--only METHOD ...] [--single]

Each method of `pretraining_methods.py` trains a ResNet of four narrow basic blocks for 20 steps of SGD on seeded
views, all at one learning rate. Of the first step every gradient is kept, of all steps the losses and the weights;
computed in double precision, so that what differs is the engine's rounding.

A comparison of single precision makes sense on a run that does not blow up what rounding does. Which runs these are
is decided here, in double precision alone: the views of a method are those of the first seed, counted from 0, of which

1. no input of a ReLU and no gap between the two largest values of a pooling comes within `MARGIN` of zero (of the
   tensor's root mean square) in any pass of the 20 steps: rounding decides neither of them;
2. every tensor that has a gradient, and the loss, changes by at least `MOVED` of its largest value: what hardly moves
   would agree whatever a step does;
3. the loss, the gradients of the first step and the weights after every step change by less than `GROWTH` times as much
   as the first weights when these are disturbed by `DISTURBANCE` of themselves.

`--only` keeps the vectors of all other methods. `--single` writes nothing and prints by how much PyTorch's own single precision differs from the vectors.
"""

import argparse
import pathlib

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from pretraining_methods import EPOCH, METHODS, N, PICTURES, Moco, Swav, TooNear, falls
from seeded import normal

STEPS = 20
RATE, MOMENTUM, WEIGHT_DECAY = 0.001, 0.9, 1e-4  # of every method
MARGIN, MOVED, GROWTH, DISTURBANCE = 2e-5, 1e-3, 200, 1e-9
EFFECT = 1e-6  # smaller gradients are noise: what shifts the input of a batch normalisation has no effect
SEEDS = 10000  # how many are tried
SAMPLES, SAMPLES_OF_ALL = 16, 160  # numbers kept of a tensor, and of one after every step
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

# The queue of MoCo wraps, rows of PIRL's bank are met again, SwAV's queue fills and is used, and keys are normalised in
# more than one group.
assert Moco.QUEUE < STEPS * N and PICTURES < STEPS * N and EPOCH * N + Swav.QUEUE < STEPS * N and Moco.GROUPS > 1


def train(name, seed, disturbance=0.0):
    """The losses of all steps, the gradients of the first, and the weights before the first and after each, of first
    weights that differ by a share `disturbance` of themselves, times a standard normal number each."""
    method = METHODS[name](f"{name}/{seed}")
    tensors = {f"encoder.{k}": v for k, v in method.net.named_parameters()} | method.heads
    if disturbance:
        with torch.no_grad():
            for k, v in tensors.items():
                v.mul_(1 + disturbance * torch.from_numpy(normal(0, f"disturbance/{k}", v.numel())).reshape(v.shape))
    sgd = torch.optim.SGD(tensors.values(), lr=RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    losses, gradients = [], {}
    weights = {k: [v.detach().clone()] for k, v in tensors.items()}
    for step in range(STEPS):
        loss = method.loss(step)
        sgd.zero_grad()
        loss.backward()
        for frozen in getattr(method, "frozen", lambda step: [])(step):
            tensors[frozen].grad = None
        if step == 0:
            gradients = {k: v.grad.clone() for k, v in tensors.items() if v.grad is not None}
        sgd.step()
        losses.append(loss.item())
        getattr(method, "finish", lambda: None)()
        for k, v in tensors.items():
            weights[k].append(v.detach().clone())
    return torch.tensor(losses), gradients, {k: torch.stack(v) for k, v in weights.items()}


def search(name):
    """The first seed whose run is as the head of this file says, what was found of it, and the run."""
    for seed in range(SEEDS):
        falls.begin(MARGIN)
        try:
            run = train(name, seed)
        except TooNear:
            continue
        nearest, moved = falls.nearest, movement(*run)
        falls.begin(0.0)
        if moved >= MOVED and (grown := growth(run, train(name, seed, DISTURBANCE))) < GROWTH:
            return seed, {"nearest": nearest, "moved": moved, "growth": grown}, run
    raise SystemExit(f"none of {SEEDS} seeds of {name} keeps its distance, moves and stays calm")


def largest(x):
    return x.abs().max().item()


def effective(gradients):
    return [k for k, v in gradients.items() if largest(v) > EFFECT]


def movement(losses, gradients, weights):
    """The least of how far the tensors and the loss move, as a share of their largest value."""
    moving = effective(gradients) + [k for k in weights if k not in gradients]
    shifts = [largest(weights[k] - weights[k][0]) / largest(weights[k]) for k in moving]
    return min(*shifts, largest(losses / losses[0] - 1))


def growth(run, disturbed):
    """By how much more than the first weights anything that is compared differs between two runs."""
    losses, gradients, weights = run
    differences = [largest(disturbed[0] / losses - 1)]
    differences += [largest(disturbed[1][k] - gradients[k]) / largest(gradients[k]) for k in effective(gradients)]
    differences += [largest(disturbed[2][k] - v) / largest(v) for k, v in weights.items()]
    return max(differences) / DISTURBANCE


def keep(prefix, tensors, into, samples=SAMPLES):
    for name, tensor in tensors.items():
        flat = tensor.detach().numpy().astype(np.float32).reshape(-1)
        count = min(samples, flat.size)
        # As `Vectors::places` of the engine computes them.
        index = (np.arange(count) * ((flat.size - 1) / max(count - 1, 1))).astype(np.int64)
        into[f"{prefix}{name}"] = flat[index]
        into[f"{prefix}{name}.shape"] = np.array(tensor.shape, dtype=np.int64)
        into[f"{prefix}{name}.scale"] = np.array([np.abs(flat).max()], dtype=np.float32)


def keep_run(name, gradients, weights, into):
    keep(f"{name}.gradient.", gradients, into)
    keep(f"{name}.weights.", {k: v[1:] for k, v in weights.items()}, into, SAMPLES_OF_ALL)


def make(out, only):
    vectors = {"rate": np.array([RATE])}
    told = {"margin": f"{MARGIN:.0e}", "moved": f"at least {MOVED:.0e}", "growth": f"below {GROWTH}"}
    if only:
        with safe_open(out, "np") as kept:
            vectors |= {k: kept.get_tensor(k) for k in kept.keys() if k.split(".")[0] not in only}
            told = kept.metadata()
    for name in only or METHODS:
        seed, found, (losses, gradients, weights) = search(name)
        keep_run(name, gradients, weights, vectors)
        vectors[f"{name}.losses"] = losses.numpy()
        vectors[f"{name}.seed"] = np.array([seed], dtype=np.int64)
        told[name] = f"seed {seed}, " + ", ".join(f"{k} {v:.2g}" for k, v in found.items())
        print(f"{name:10} {told[name]}, loss {losses[0]:.4f} to {losses[-1]:.4f}", flush=True)
    save_file(vectors, out, metadata=told)


def compare(out, only):
    """Prints the errors of PyTorch's single precision, as the engine's test computes its own."""
    vectors = load_file(out)
    torch.set_default_dtype(torch.float32)
    for name in only or METHODS:
        losses, gradients, weights = train(name, vectors[f"{name}.seed"][0])
        found, errors = {}, {}
        keep_run(name, gradients, weights, found)
        for part in ("gradient", "weights"):
            names = [k for k in found if k.startswith(f"{name}.{part}.") and not k.endswith((".shape", ".scale"))]
            scales = {k: vectors[f"{k}.scale"][0] for k in names}
            errors[part] = max(np.abs(found[k] - vectors[k]).max() / s for k, s in scales.items() if s > EFFECT)
        loss = np.abs(losses.double().numpy() / vectors[f"{name}.losses"] - 1).max()
        print(f"{name:10} gradients {errors['gradient']:.1e}, losses {loss:.1e}, weights {errors['weights']:.1e}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default="server/lab/tests/vectors")
    parser.add_argument("--only", nargs="+", choices=METHODS, help="the methods, of all")
    parser.add_argument("--single", action="store_true", help="compare single precision with the vectors that are there")
    arguments = parser.parse_args()
    (compare if arguments.single else make)(arguments.out / "pretraining.safetensors", arguments.only)
