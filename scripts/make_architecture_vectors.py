#!/usr/bin/env python3
"""Make the test vectors of architectures with torchvision, timm and transformers, once.

    python scripts/make_architecture_vectors.py [KEY...] [--out server/nn/tests/vectors]

Each network gets seeded weights under its authors' names (nothing is downloaded): every tensor's
values come from the counter-based generator that the engine has too (`seeded.rs`), its stream
named after the tensor. A file holds the names and shapes, from which the engine's test makes the
same weights, and of each map and the embedding, for one input of the native size and one of
another, SAMPLES evenly spread values, the shape and the largest value.
"""

import argparse
import json
import pathlib

import numpy as np
import timm
import torch
import torch.nn.functional as F
import torchvision
import transformers
from safetensors.numpy import save_file

from seeded import seeded_input, uniform

SAMPLES = 61
STRIDES = (4, 8, 16, 32)


def seeded_weight(name, shape):
    """Lively values that neither vanish nor explode; the same rule as in the engine's test."""
    u = uniform(0, name, int(np.prod(shape))) * 2 - 1
    if len([d for d in shape if d > 1]) > 1 and not any(p in name for p in ("pos", "token", "probe")):
        u = u * np.sqrt(3.0 / np.prod(shape[1:]))
    elif name.endswith(("running_var", "gamma", "lambda1")) or (len(shape) == 1 and name.endswith("weight")):
        u = 1 + 0.5 * u
    else:
        u = 0.2 * u
    return u.astype(np.float32).reshape(shape)


def seed(net, prefix="", published=()):
    """Gives a network its weights; the names, which begin with `prefix`, and shapes of what a
    checkpoint holds. `published` says what in files is called otherwise than in memory."""
    names = {}
    for name, tensor in net.state_dict().items():
        if name.endswith(("num_batches_tracked", "position_ids")):
            continue
        name = prefix + name
        for ours, theirs in published:
            name = name.replace(ours, theirs)
        names[name] = list(tensor.shape)
        tensor.copy_(torch.from_numpy(seeded_weight(name, tuple(tensor.shape))))
    return net.eval(), names


def hooked(modules):
    """What some modules put out, in the order given."""
    kept = {}

    def hook(i):
        def keep(_, __, out):
            kept[i] = out[0] if isinstance(out, tuple) else out
        return keep

    for i, module in enumerate(modules):
        module.register_forward_hook(hook(i))
    return kept


def resnet(net):
    net, names = seed(net)
    stages = [net.relu] + [getattr(net, f"layer{i}") for i in range(1, 5)]
    first = {}
    kept = hooked(stages[1:])
    net.maxpool.register_forward_pre_hook(lambda _, args: first.update(conv=args[0]))

    def run(x):
        out = {}
        net(x)
        out["conv"] = first["conv"]
        for i in range(4):
            out[f"block{i + 1}"] = kept[i]
        out["embedding"] = kept[3].mean((2, 3))
        return out

    return names, run, (97, 75)


def narrow(block, blocks, width):
    """A ResNet of a quarter or an eighth of the width."""
    net = torchvision.models.ResNet(block, blocks, num_classes=10)
    net.inplanes = width
    net.conv1 = torch.nn.Conv2d(3, width, 7, 2, 3, bias=False)
    net.bn1 = torch.nn.BatchNorm2d(width)
    for i, count in enumerate(blocks):
        setattr(net, f"layer{i + 1}", net._make_layer(block, width << i, count, stride=1 if i == 0 else 2))
    net.fc = torch.nn.Linear((width << 3) * block.expansion, 10)
    return net


def fold(tokens, grid, patch, size):
    """Tokens N x T x C of a grid of patches at STRIDES of an input of a size: linear between the
    middles of patches, by numpy's interpolation."""
    (rows, columns), (height, width) = grid, size
    n, count, c = tokens.shape
    tokens = tokens[:, count - rows * columns:].numpy().reshape(n, rows, columns, c)
    maps = []
    for stride in STRIDES:
        def at(length, patches):
            middles = (np.arange(-(-length // stride)) + 0.5) * stride / patch - 0.5
            return np.stack([np.interp(middles, np.arange(patches), row) for row in np.eye(patches)], 1)
        maps.append(np.einsum("yr,nrqc,xq->ncyx", at(height, rows), tokens, at(width, columns)))
    return maps


def padded(x, patch):
    height, width = x.shape[2:]
    return F.pad(x, (0, -width % patch, 0, -height % patch))


def vit(blocks, patch, run, names, other=(100, 130)):
    """A vision transformer whose `run` gives the embedding of an input of whole patches. Maps lie
    behind each quarter of its blocks."""
    behind = [(i + 1) * len(blocks) // 4 for i in range(4)]
    kept = hooked([blocks[i - 1] for i in behind])

    def outputs(x):
        whole = padded(x, patch)
        grid = (whole.shape[2] // patch, whole.shape[3] // patch)
        embedding = run(whole)
        out = {"embedding": embedding}
        for i, block in enumerate(behind):
            out[f"block{block}"] = torch.from_numpy(fold(kept[i], grid, patch, x.shape[2:])[i])
        return out

    return names, outputs, other


def timm_vit(name, **settings):
    """timm's networks, with positions of other grids interpolated as DINO's authors do."""
    net = timm.create_model(name, pretrained=False, dynamic_img_size=False, **settings)
    net, names = seed(net)
    positions = net.pos_embed.detach().clone()
    patch = net.patch_embed.patch_size[0]
    net.patch_embed.strict_img_size = False
    side = int(np.sqrt(positions.shape[1] - 1))

    def run(x):
        grid = (x.shape[2] // patch, x.shape[3] // patch)
        spatial = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        if grid != (side, side):
            spatial = F.interpolate(spatial, size=grid, mode="bicubic", align_corners=False)
        net.pos_embed.data = torch.cat([positions[:, :1], spatial.flatten(2).transpose(1, 2)], 1)
        return net.forward_features(x)[:, 0]

    return vit(net.blocks, patch, run, names)


# transformers 5 renamed these in memory; files on the hub keep the names.
ATTENTION = [(f"attention.{short}_proj", f"attention.attention.{long}")
             for short, long in (("q", "query"), ("k", "key"), ("v", "value"))]
ATTENTION += [("attention.o_proj", "attention.output.dense")]
VIT = [("layers.", "encoder.layer."), ("mlp.fc1", "intermediate.dense"), ("mlp.fc2", "output.dense"), *ATTENTION]


def hf_vit():
    config = transformers.ViTConfig(layer_norm_eps=1e-6)
    return hugging_face(transformers.ViTModel(config, add_pooling_layer=False), 16,
                        lambda out: out.last_hidden_state[:, 0], published=VIT, interpolate_pos_encoding=True)


def dinov2_small():
    config = transformers.Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=518)
    return hugging_face(transformers.Dinov2Model(config), 14, lambda out: out.pooler_output, published=ATTENTION)


def tower(net):
    """What precedes the names in files with both towers, where the tower alone leaves it out."""
    return "" if any(name.startswith("vision_model.") for name in net.state_dict()) else "vision_model."


def clip():
    net = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(patch_size=16))
    beside = {"text_model.embeddings.token_embedding.weight": [9, 4], "logit_scale": [1],
              "visual_projection.weight": [512, 768], "text_projection.weight": [512, 512]}
    return hugging_face(net, 16, lambda out: out.pooler_output,
                        tower(net), beside, interpolate_pos_encoding=True)


def siglip():
    net = transformers.SiglipVisionModel(transformers.SiglipVisionConfig(image_size=224, patch_size=16))
    beside = {"text_model.head.weight": [9, 4], "logit_scale": [1], "logit_bias": [1]}
    return hugging_face(net, 16, lambda out: out.pooler_output,
                        tower(net), beside, interpolate_pos_encoding=True)


def hugging_face(net, patch, embedding, prefix="", beside=None, published=(), **settings):
    """A network of transformers', its blocks found by their number. `beside` is what else its
    checkpoints hold."""
    net, names = seed(net, prefix, published)
    blocks = next(m for m in net.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == 12)
    names, run, other = vit(blocks, patch, lambda x: embedding(net(x, **settings)), names)
    return {**names, **(beside or {})}, run, other


def convnext():
    net, names = seed(timm.create_model("convnext_tiny", pretrained=False))
    kept = hooked(net.stages)

    def run(x):
        out = {"embedding": net.forward_head(net.forward_features(x), pre_logits=True)}
        return {**out, **{f"block{i + 1}": kept[i] for i in range(4)}}

    return names, run, (96, 160)


NETWORKS = {
    **{key: (lambda key=key: resnet(getattr(torchvision.models, key)(weights=None)))
       for key in ("resnet18", "resnet34", "resnet101", "resnet152", "wide_resnet50_2")},
    "resnet.basic": lambda: resnet(narrow(torchvision.models.resnet.BasicBlock, [2, 2, 2, 2], 16)),
    "resnet.bottleneck": lambda: resnet(narrow(torchvision.models.resnet.Bottleneck, [3, 4, 6, 3], 16)),
    # Of other width, depth, patch and grid.
    "vit.small": lambda: timm_vit("vit_small_patch16_224", img_size=64, patch_size=8, embed_dim=128, depth=8,
                                  num_heads=2, num_classes=0),
    "vit_s16": lambda: timm_vit("vit_small_patch16_224"),
    "vit_b16": lambda: timm_vit("vit_base_patch16_224"),
    "dino_s16": lambda: timm_vit("vit_small_patch16_224", num_classes=0),
    "dino_b16": hf_vit,
    "dinov2_s14": dinov2_small,
    "dinov2_b14": lambda: timm_vit("vit_base_patch14_dinov2", num_classes=0),
    "clip_b16": clip,
    "siglip_b16": siglip,
    "convnext_t": convnext,
}


def sampled(values, name, into):
    flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
    index = np.linspace(0, flat.size - 1, min(SAMPLES, flat.size)).astype(np.int64)
    into[name] = flat[index]
    into[f"{name}.shape"] = np.array(values.shape, dtype=np.int64)
    into[f"{name}.scale"] = np.array([np.abs(flat).max()], dtype=np.float32)


@torch.no_grad()
def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("keys", nargs="*", help="all if none is named")
    arguments.add_argument("--out", type=pathlib.Path, default=pathlib.Path("server/nn/tests/vectors"))
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for key in given.keys or NETWORKS:
        names, run, other = NETWORKS[key]()
        vectors = {}
        for size, name in (((224, 224), "native"), (other, "other")):
            x = torch.from_numpy(seeded_input(key, (1, 3, *size)))
            for output, values in run(x).items():
                sampled(np.asarray(values), f"{name}.{output}", vectors)
            vectors[f"{name}.size"] = np.array(size, dtype=np.int64)
        # Names and shapes in a form that repeats little.
        metadata = {"names": json.dumps(names, separators=(",", ":"))}
        save_file(vectors, given.out / f"{key}.safetensors", metadata)
        print(key, {k: float(v[0]) for k, v in vectors.items() if k.endswith("scale")})


if __name__ == "__main__":
    main()
