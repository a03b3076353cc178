#!/usr/bin/env python3
"""Make the vectors of a vision transformer that is trained, with PyTorch and timm, once.

    python scripts/make_vit_training_vectors.py [--out server/lab/tests/vectors]

A small network gets seeded weights and makes ten steps of AdamW on two batches, one of another
size than its positions are for, with a loss on its embeddings and on a map. Kept are the losses,
and SAMPLES values of each first gradient and each final tensor.
"""

import argparse
import pathlib

import numpy as np
import timm
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

import make_architecture_vectors
from make_architecture_vectors import padded, sampled, seeded_weight
from seeded import seeded_input

WIDTH, DEPTH, PATCH, GRID = 128, 4, 8, 4
STEPS, RATE, DECAY = 10, 1e-3, 0.05
STRIDE = 8
make_architecture_vectors.SAMPLES = 41


def resampled(tokens, grid, size):
    """Tokens N x T x C as a map of a stride of 8, N x C x h x w, by numpy's interpolation."""
    def at(length, patches):
        middles = (np.arange(-(-length // STRIDE)) + 0.5) * STRIDE / PATCH - 0.5
        rows = np.stack([np.interp(middles, np.arange(patches), row) for row in np.eye(patches)], 1)
        return torch.from_numpy(rows.astype(np.float32))

    (rows, columns), (height, width) = grid, size
    tokens = tokens[:, 1:].reshape(len(tokens), rows, columns, -1)
    return torch.einsum("yr,nrqc,xq->ncyx", at(height, rows), tokens, at(width, columns))


def run(net, x):
    """Embedding and the map of stride 8, which lies behind the second block."""
    size = x.shape[2:]
    x = padded(x, PATCH)
    grid = (x.shape[2] // PATCH, x.shape[3] // PATCH)
    positions = net.pos_embed
    if grid != (GRID, GRID):
        spatial = positions[:, 1:].reshape(1, GRID, GRID, -1).permute(0, 3, 1, 2)
        spatial = F.interpolate(spatial, size=grid, mode="bicubic", align_corners=False)
        positions = torch.cat([positions[:, :1], spatial.flatten(2).transpose(1, 2)], 1)
    x = net.patch_embed.proj(x).flatten(2).transpose(1, 2)
    x = torch.cat([net.cls_token.expand(len(x), -1, -1), x], 1) + positions
    for i, block in enumerate(net.blocks):
        x = block(x)
        if i == 1:
            kept = resampled(x, grid, size)
    return net.norm(x)[:, 0], kept


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("server/lab/tests/vectors"))
    out = parser.parse_args().out
    net = timm.models.vision_transformer.VisionTransformer(
        img_size=GRID * PATCH, patch_size=PATCH, embed_dim=WIDTH, depth=DEPTH, num_heads=WIDTH // 64, num_classes=0)
    tensors = dict(net.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(seeded_weight(name, tuple(tensor.shape))))
    batches = [torch.from_numpy(seeded_input(f"vit.{i}", (3, 3, *size))) for i, size in enumerate([(32, 32), (40, 20)])]
    targets = [torch.from_numpy(seeded_input(f"vit.target{i}", (3, WIDTH))) for i in range(2)]
    groups = [{"params": [t for t in tensors.values() if (t.ndim > 1) == matrix], "weight_decay": DECAY * matrix}
              for matrix in (True, False)]
    opt = torch.optim.AdamW(groups, lr=RATE)
    v, losses = {}, []
    for step in range(STEPS + 1):
        loss = 0
        for i, (x, target) in enumerate(zip(batches, targets)):
            embedding, kept = run(net, x)
            if step == 0:
                sampled(embedding.detach().numpy(), f"embedding{i}", v)
                sampled(kept.detach().numpy(), f"map{i}", v)
            loss = loss + ((embedding - target) ** 2).mean() + 0.1 * (kept ** 2).mean()
        losses.append(loss.item())
        if step == STEPS:
            break
        opt.zero_grad()
        loss.backward()
        if step == 0:
            for name, tensor in tensors.items():
                sampled(tensor.grad.numpy(), f"gradient.{name}", v)
        opt.step()
    for name, tensor in tensors.items():
        values = tensor.detach().numpy()
        if name.endswith("qkv.bias"):
            # Keys' biases change nothing: their gradients are noise, which AdamW turns into steps.
            values = np.concatenate([values[:WIDTH], values[2 * WIDTH:]])
        sampled(values, f"trained.{name}", v)
    v["losses"] = np.array(losses)
    save_file(v, out / "vit_training.safetensors")
    print(losses)


if __name__ == "__main__":
    main()
