#!/usr/bin/env python3
"""Make the vectors of fine-tuning with PyTorch, once.

    python scripts/make_fine_tuning_vectors.py [--out server/lab/tests/vectors]

A ResNet of four narrow basic blocks and the pixel-wise decoder over all its maps are trained together for three
steps of SGD on one batch, every stage at its own learning rate and vectors without weight decay. Of the first step
the loss and every gradient are kept, then the losses, and the weights at the end; computed in double precision.
"""

import argparse
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from make_pretraining_vectors import keep
from make_training_vectors import Decoder, classes, seeded
from pretraining_methods import encoder
from seeded import seeded_input

STEPS, N, SIDE, CLASSES = 3, 4, 48, 3
RATE, LAYER_DECAY, HEAD_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.5, 0.02, 0.9, 0.01


def maps(net, x):
    out = [F.relu(net.bn1(net.conv1(x)))]
    x = F.max_pool2d(out[0], 3, 2, 1)
    for stage in [net.layer1, net.layer2, net.layer3, net.layer4]:
        x = stage(x)
        out.append(x)
    return out


def rate(name):
    """The learning rate of a tensor: stage 4 has the encoder's, each further down half of that above it."""
    part, name = name.split(".", 1)
    if part == "head":
        return HEAD_RATE
    stage = int(name[len("layer")]) if name.startswith("layer") else 0
    return RATE * LAYER_DECAY ** (4 - stage)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default="server/lab/tests/vectors")
    out = parser.parse_args().out
    net, head = encoder(8), Decoder([8, 8, 16, 32, 64], None, CLASSES)
    seeded(head, {f"up.{i}": f"up.{i}" for i in range(5)})
    x = torch.from_numpy(seeded_input("fine-tuning", (N, SIDE, SIDE, 3))).double().permute(0, 3, 1, 2)
    y = classes("fine-tuned", N * SIDE * SIDE, CLASSES).reshape(N, SIDE, SIDE)
    tensors = {f"encoder.{k}": v for k, v in net.named_parameters()}
    tensors |= {f"head.{k}": v for k, v in head.named_parameters()}
    groups = [{"params": [v], "lr": rate(k), "weight_decay": WEIGHT_DECAY if v.dim() > 1 else 0}
              for k, v in tensors.items()]
    sgd = torch.optim.SGD(groups, lr=RATE, momentum=MOMENTUM)
    vectors, losses = {}, []
    for step in range(STEPS):
        loss = F.cross_entropy(head(maps(net, x)), y)
        sgd.zero_grad()
        loss.backward()
        if step == 0:
            keep("gradient.", {k: v.grad for k, v in tensors.items()}, vectors)
        sgd.step()
        losses.append(loss.item())
    keep("weights.", tensors, vectors)
    vectors["losses"] = np.array(losses)
    print(losses)
    save_file(vectors, out / "fine_tuning.safetensors")
