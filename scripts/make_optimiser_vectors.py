#!/usr/bin/env python3
"""Make the vectors of optimisers and schedules of pre-training with PyTorch, once.

    python scripts/make_optimiser_vectors.py [--out server/lab/tests/vectors]

A small network of two layers makes 20 steps with each optimiser, its learning rate falling in a
line; its tensors after the first and the last step are kept. LARS is transcribed from SimCLR's
`lars_optimizer.py`, LARC from NVIDIA apex, as SwAV uses it.
"""

import argparse
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, MultiStepLR, SequentialLR

from seeded import seeded_input

STEPS = 20
SHAPES = {"inner.weight": (5, 6), "inner.bias": (5,), "outer.weight": (3, 5)}
ALIKE = {"decayed": True, "adapted": True, "rate": 1.0}


def by_dimensions(name):
    """Vectors are neither decayed nor adapted; they and the last layer learn more slowly."""
    matrix = len(SHAPES[name]) > 1
    rate = 0.02 if not matrix else 0.5 if name == "outer.weight" else 1.0
    return {"decayed": matrix, "adapted": matrix, "rate": rate}


class Lars(torch.optim.Optimizer):
    """SimCLR's, with `classic_momentum` and without Nesterov's."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                grad = param.grad + group["weight_decay"] * param
                ratio = 1.0
                if group["adapted"]:
                    w_norm, g_norm = param.norm(), grad.norm()
                    if w_norm > 0 and g_norm > 0:
                        ratio = 0.001 * w_norm / g_norm
                state = self.state[param]
                v = state.get("momentum", torch.zeros_like(param))
                state["momentum"] = group["momentum"] * v + group["lr"] * ratio * grad
                param -= state["momentum"]


class Larc(torch.optim.SGD):
    """apex' LARC with `clip=False` around SGD."""

    @torch.no_grad()
    def step(self):
        decays = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            if not group["adapted"]:
                continue
            for param in group["params"]:
                p, g = param.norm(), param.grad.norm()
                if p != 0 and g != 0:
                    rate = 0.001 * p / (g + p * group["weight_decay"] + 1e-8)
                    param.grad += group["weight_decay"] * param
                    param.grad *= rate
            group["weight_decay"] = 0
        super().step()
        for group, decay in zip(self.param_groups, decays):
            group["weight_decay"] = decay


def optimiser(kind, tensors, grouping, lr, decay, momentum):
    groups = []
    for name, tensor in tensors.items():
        group = grouping(name)
        groups.append({"params": [tensor], "factor": group["rate"], "adapted": group["adapted"], "lr": lr,
                       "weight_decay": decay if group["decayed"] else 0.0, "momentum": momentum})
    if kind in ("adam", "adamw"):
        for group in groups:
            del group["momentum"]
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD, "larc": Larc,
            "lars": lambda g, lr: Lars(g, {"lr": lr})}[kind]
    return make(groups, lr=lr)


def run(name, vectors, kind, lr, decay=0.0, momentum=0.9, grouping=lambda _: ALIKE, clip=None, late=0):
    x, y = (torch.from_numpy(seeded_input(f"optimiser.{part}", shape)) for part, shape in (("x", (8, 6)), ("y", (8, 3))))
    tensors = {n: torch.from_numpy(seeded_input(n, shape)).requires_grad_() for n, shape in SHAPES.items()}
    opt = optimiser(kind, tensors, grouping, lr, decay, momentum)
    lengths = []
    for step in range(STEPS):
        for group in opt.param_groups:
            group["lr"] = lr * (1 - step / (2 * STEPS)) * group["factor"]
        opt.zero_grad(set_to_none=True)
        hidden = torch.tanh(x @ tensors["inner.weight"].T + tensors["inner.bias"])
        ((hidden @ tensors["outer.weight"].T - y) ** 2).mean().backward()
        if step < late:
            tensors["inner.bias"].grad = None
        if clip:
            lengths.append(float(torch.nn.utils.clip_grad_norm_(list(tensors.values()), clip)))
        opt.step()
        if step in (0, STEPS - 1):
            for n, tensor in tensors.items():
                vectors[f"{name}.{step + 1}.{n}"] = tensor.detach().numpy().copy()
    if clip:
        vectors[f"{name}.lengths"] = np.array(lengths)


def rates(schedule, steps, unit=1):
    """Learning rates before each step of a scheduler that is stepped every `unit` steps."""
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = schedule(opt)
    found = []
    for step in range(steps):
        found.append(opt.param_groups[0]["lr"])
        opt.step()
        if (step + 1) % unit == 0:
            schedule.step()
    return np.array(found)


def warm(opt, steps, then):
    """From 0.05 up to 0.5 in `steps`."""
    return SequentialLR(opt, [LinearLR(opt, 0.1, total_iters=steps), then], [steps])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("server/lab/tests/vectors"))
    out = parser.parse_args().out
    v = {}
    run("adam", v, "adam", 1e-2)
    run("adamw", v, "adamw", 1e-2, 0.1)
    run("adamw.groups", v, "adamw", 1e-2, 0.1, grouping=by_dimensions)
    run("adamw.late", v, "adamw", 1e-2, 0.1, late=3)
    run("sgd", v, "sgd", 0.05, 1e-2)
    run("sgd.plain", v, "sgd", 0.05, 1e-2, momentum=0.0)
    run("sgd.groups", v, "sgd", 0.05, 1e-2, grouping=by_dimensions)
    run("sgd.clipped", v, "sgd", 0.05, 1e-2, clip=3.0)
    run("lars", v, "lars", 4.0, 1e-2)
    run("lars.groups", v, "lars", 4.0, 1e-2, grouping=by_dimensions)
    run("larc", v, "larc", 4.0, 1e-2)
    run("larc.groups", v, "larc", 4.0, 1e-2, grouping=by_dimensions)
    v["rates.milestones"] = rates(lambda o: MultiStepLR(o, [4, 7], gamma=0.1), 70, 7)
    v["rates.cosine"] = rates(lambda o: CosineAnnealingLR(o, 70, eta_min=0.5e-3), 70)
    v["rates.warm_cosine"] = rates(lambda o: warm(o, 14, CosineAnnealingLR(o, 56, eta_min=0.5e-3)), 70)
    v["rates.warm_steps"] = rates(lambda o: warm(o, 10, CosineAnnealingLR(o, 60)), 70)
    save_file(v, out / "optimisers.safetensors")
    print({k: float(np.abs(t).max()) for k, t in v.items() if ".20." in k})


if __name__ == "__main__":
    main()
