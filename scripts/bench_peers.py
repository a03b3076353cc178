"""Times PyTorch, ONNX Runtime and Pillow for `make bench`, which asks line by line and waits
for each answer, so that the programs take turns.

Start: python scripts/bench_peers.py THREADS FOLDER. It prints the peers' versions, then for
each line of standard input (`what peer size...`) the seconds that the work took (megabytes where it is of memory), or `none`.
Needs torch, torchvision, onnx, onnxruntime and Pillow; works with those that are there.
"""

import copy
import os
import subprocess
import sys
import time

threads, folder = int(sys.argv[1]), sys.argv[2]
os.environ["OMP_NUM_THREADS"] = str(threads)

versions = []
try:
    import torch
    import torchvision

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    versions.append(f"PyTorch {torch.__version__}")
except ImportError:
    torch = None
try:
    import onnxruntime

    versions.append(f"ONNX Runtime {onnxruntime.__version__}")
except ImportError:
    onnxruntime = None
try:
    import PIL
    from PIL import Image

    versions.append(f"Pillow {PIL.__version__}")
except ImportError:
    Image = None

try:
    import timm
    from safetensors.torch import save_file

    versions.append(f"timm {timm.__version__}")
except ImportError:
    timm = None

models, sessions, inputs, heads = {}, {}, {}, {}

# Names of the catalogue's architectures in timm, under whose names the weights are read.
ARCHITECTURES = {
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "resnet152": "resnet152",
    "wide_resnet50_2": "wide_resnet50_2",
    "vit_s16": "vit_small_patch16_224",
    "vit_b16": "vit_base_patch16_224",
    "dinov2_s14": "vit_small_patch14_dinov2",
    "dinov2_b14": "vit_base_patch14_dinov2",
    "clip_b16": "vit_base_patch16_clip_quickgelu_224",
    "convnext_t": "convnext_tiny",
}


def batch(n):
    if n not in inputs:
        inputs[n] = torch.randn(n, 3, 224, 224)
    return inputs[n]


def resnet(layout):
    if layout not in models:
        model = torchvision.models.resnet50().eval()
        model.fc = torch.nn.Identity()
        models[layout] = model.to(memory_format=layout)
    return models[layout]


def architecture(key):
    if key not in models:
        models.clear()
        settings = {"num_classes": 0}
        if key.startswith("dinov2"):
            settings["dynamic_img_size"] = True
        models[key] = timm.create_model(ARCHITECTURES[key], pretrained=False, **settings).eval()
    return models[key]


def weights(key):
    """Writes the weights into the folder."""
    state = architecture(key).state_dict()
    return timed(lambda: save_file({k: v.contiguous() for k, v in state.items()}, os.path.join(folder, f"{key}.safetensors")))


def passes(key):
    def run(n):
        model, x = architecture(key), batch(n)
        with torch.inference_mode():
            return timed(lambda: model(x))

    return run


def eager(layout):
    def run(n, times):
        model, x = resnet(layout), batch(n).to(memory_format=layout)
        with torch.inference_mode():
            return timed(lambda: model(x), times)

    return run


def traced(n, times):
    if ("traced", n) not in models:
        x = batch(n)
        with torch.inference_mode():
            model = torch.jit.trace(resnet(torch.contiguous_format), x)
            models["traced", n] = torch.jit.optimize_for_inference(torch.jit.freeze(model))
    model, x = models["traced", n], batch(n)
    with torch.inference_mode():
        return timed(lambda: model(x), times)


def onnx(n, times):
    if not sessions:
        path = os.path.join(folder, "resnet50.onnx")
        axes = {"x": {0: "n"}, "y": {0: "n"}}
        model = resnet(torch.contiguous_format)
        torch.onnx.export(model, batch(1), path, input_names=["x"], output_names=["y"], dynamic_axes=axes, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        sessions["resnet50"] = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x = {"x": batch(n).numpy()}
    return timed(lambda: sessions["resnet50"].run(None, x), times)


MEMORY = """
import sys, numpy, onnxruntime
read = lambda field: next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(field)) / 1024
start = read("VmRSS")
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = int(sys.argv[3]), 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
session.run(None, {"x": numpy.zeros((int(sys.argv[2]), 3, 224, 224), numpy.float32)})
print(read("VmHWM") - start)
"""


def onnx_memory(n):
    """Peak megabytes of a process that loads the model and makes one pass, above its start."""
    path = os.path.join(folder, "resnet50.onnx")
    run = [sys.executable, "-c", MEMORY, path, str(n), str(threads)]
    return float(subprocess.run(run, capture_output=True, check=True, text=True).stdout)


def linear(fused):
    """An epoch of a linear head: rows of 2048 to 100 classes."""

    def run(rows, size):
        key = ("linear", rows)
        if key not in heads:
            heads[key] = torch.randn(rows, 2048), torch.randint(0, 100, (rows,))
        x, y = heads[key]
        layer = torch.nn.Linear(2048, 100)
        adam = torch.optim.Adam(layer.parameters(), lr=1e-3, fused=fused)
        order = torch.randperm(rows)

        def epoch():
            for at in range(0, rows, size):
                chosen = order[at : at + size]
                loss = torch.nn.functional.cross_entropy(layer(x[chosen]), y[chosen])
                adam.zero_grad()
                loss.backward()
                adam.step()

        return timed(epoch)

    return run


def pixelwise(images, size):
    """An epoch of the pixel-wise head on ResNet-50's maps of 224 x 224, one output a pixel."""
    functional = torch.nn.functional
    widths = [64, 256, 512, 1024, 2048]
    sides = [112, 56, 28, 14, 7]
    if "pixelwise" not in heads:
        maps = [torch.randn(images, w, s, s) for w, s in zip(widths, sides)]
        targets = [*reversed(widths[:-1]), 1]
        stages = [torch.nn.Conv2d(w, 4 * t, 3, padding=1) for w, t in zip(reversed(widths), targets)]
        layers = torch.nn.ModuleList(stages)
        heads["pixelwise"] = maps, torch.rand(images, 224, 224), layers, torch.optim.Adam(layers.parameters(), lr=1e-4, fused=True)
    maps, truth, layers, adam = heads["pixelwise"]

    def epoch():
        for at in range(0, images, size):
            level = [m[at : at + size] for m in maps]
            x = level[-1]
            for stage, layer in enumerate(layers):
                x = functional.pixel_shuffle(layer(x), 2)
                if stage + 1 < len(layers):
                    x = functional.leaky_relu(x, 0.01) + level[-2 - stage]
            loss = functional.l1_loss(x[:, 0], truth[at : at + size])
            adam.zero_grad()
            loss.backward()
            adam.step()

    return timed(epoch)


def deeplab(images, size):
    """An epoch of the DeepLabv3+-like head on ResNet-50's maps of 224 x 224, 19 classes."""
    nn, functional = torch.nn, torch.nn.functional

    def conv(inputs, outputs, kernel=1, dilation=1):
        padding = dilation * (kernel // 2)
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )

    class DeepLab(nn.Module):
        def __init__(self):
            super().__init__()
            self.block4 = torchvision.models.resnet50().layer4
            for block, dilation in zip(self.block4, [2, 4, 2]):
                block.conv2.stride, block.conv2.dilation, block.conv2.padding = 1, dilation, dilation
            self.block4[0].downsample[0].stride = 1
            kinds = [(1, 1), (3, 6), (3, 12), (3, 18), (1, 1)]
            self.pyramid = nn.ModuleList(conv(2048, 256, *kind) for kind in kinds)
            self.joined, self.reducer = conv(5 * 256, 256), conv(256, 48)
            self.decoder = nn.Sequential(conv(304, 256, 3), conv(256, 256, 3), nn.Conv2d(256, 19, 3, padding=1))

        def train(self, mode=True):
            super().train(mode)
            self.block4.eval()
            return self

        def forward(self, low, high):
            resize = lambda x, size: functional.interpolate(x, size, mode="bilinear", align_corners=True)
            x = self.block4(high)
            levels = [level(x) for level in self.pyramid[:4]]
            levels.append(resize(self.pyramid[4](x.mean((2, 3), keepdim=True)), x.shape[2:]))
            x = resize(self.joined(torch.cat(levels, 1)), low.shape[2:])
            return resize(self.decoder(torch.cat([self.reducer(low), x], 1)), 224)

    if "deeplab" not in heads:
        head = DeepLab().train()
        heads["deeplab"] = head, torch.optim.Adam(head.parameters(), lr=1e-4, fused=True)
    head, adam = heads["deeplab"]
    low, high = torch.randn(size, 256, 56, 56), torch.randn(size, 1024, 14, 14)
    truth = torch.randint(0, 19, (size, 224, 224))

    def epoch():
        for _ in range(0, images, size):
            loss = functional.cross_entropy(head(low, high), truth)
            adam.zero_grad()
            loss.backward()
            adam.step()

    return timed(epoch)


def training(method, layout, compiled=False):
    """A step of training a ResNet of any width, with labels or as MoCo v2."""
    from torch.nn.functional import cross_entropy, normalize
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

    class Narrow(ResNet):
        def __init__(self, depth, width):
            torch.nn.Module.__init__(self)
            block, blocks = {18: (BasicBlock, [2, 2, 2, 2]), 50: (Bottleneck, [3, 4, 6, 3])}[depth]
            self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = torch.nn.BatchNorm2d, width, 1, 1, 64
            self.conv1 = torch.nn.Conv2d(3, width, 7, 2, 3, bias=False)
            self.bn1, self.relu = torch.nn.BatchNorm2d(width), torch.nn.ReLU(True)
            self.maxpool, self.avgpool = torch.nn.MaxPool2d(3, 2, 1), torch.nn.AdaptiveAvgPool2d(1)
            for stage, count in enumerate(blocks):
                layer = self._make_layer(block, width << stage, count, stride=1 if stage == 0 else 2)
                setattr(self, f"layer{stage + 1}", layer)
            length = 8 * width * block.expansion
            if method == "supervised":
                self.fc = torch.nn.Linear(length, 100)
            else:
                self.fc = torch.nn.Sequential(torch.nn.Linear(length, 512), torch.nn.ReLU(True), torch.nn.Linear(512, 128))

    ready = torch.compile if compiled else lambda model: model

    def supervised(model, views, size):
        model, labels = ready(model), torch.randint(0, 100, (size,))
        return lambda: cross_entropy(model(views[0]), labels)

    def moco(model, views, size):
        key, model = ready(copy.deepcopy(model).requires_grad_(False)), ready(model)
        queue, at = normalize(torch.randn(128, 1024), dim=0), 0

        def loss():
            nonlocal at
            with torch.no_grad():
                for new, old in zip(model.parameters(), key.parameters()):
                    old.mul_(0.99).add_(new, alpha=0.01)
                k = normalize(key(views[1]), dim=1)
            q = normalize(model(views[0]), dim=1)
            logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.clone()], 1) / 0.2
            queue[:, at : at + size] = k.T
            at = (at + size) % 1024
            return cross_entropy(logits, torch.zeros(size, dtype=torch.long))

        return loss

    made = {}

    def run(depth, width, side, size):
        case = depth, width, side, size
        if case not in made:
            made.clear()
            model = Narrow(depth, width).train().to(memory_format=layout)
            views = [torch.randn(size, 3, side, side).to(memory_format=layout) for _ in range(2)]
            loss = {"supervised": supervised, "moco_v2": moco}[method](model, views, size)
            made[case] = loss, torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
        loss, sgd = made[case]

        def step():
            value = loss()
            sgd.zero_grad()
            value.backward()
            sgd.step()

        return timed(step)

    return run


def megabytes(field):
    """What the system says of this process's memory."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024


def decode(path):
    """One file to the encoder's input, as torchvision's transforms do it."""
    import numpy

    with Image.open(path) as image:
        small = image.convert("RGB").resize((224, 224), Image.BILINEAR)
    x = numpy.asarray(small, dtype=numpy.float32) / 255.0
    x = (x - numpy.array([0.485, 0.456, 0.406], numpy.float32)) / numpy.array([0.229, 0.224, 0.225], numpy.float32)
    return numpy.ascontiguousarray(x.transpose(2, 0, 1))


def photos(count):
    names = sorted(n for n in os.listdir(os.path.join(folder, "photos")))[:count]
    return timed(lambda: [decode(os.path.join(folder, "photos", n)) for n in names])


def timed(work, times=1):
    start = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - start


KINDS = {}
if torch:
    KINDS["encoder", "torch"] = eager(torch.contiguous_format)
    KINDS["encoder", "torch-channels-last"] = eager(torch.channels_last)
    KINDS["encoder", "torch-traced"] = traced
    KINDS["pixelwise", "torch"] = pixelwise
    KINDS["deeplab", "torch"] = deeplab
    for method in ("supervised", "moco_v2"):
        KINDS[method, "torch"] = training(method, torch.contiguous_format)
        KINDS[method, "torch-channels-last"] = training(method, torch.channels_last)
        KINDS[method, "torch-compiled"] = training(method, torch.channels_last, compiled=True)
    KINDS["linear", "torch"] = linear(False)
    KINDS["linear", "torch-fused"] = linear(True)
if torch and timm:
    for name in ARCHITECTURES:
        KINDS["weights", name] = lambda name=name: weights(name)
        KINDS["architecture", name] = passes(name)
if torch and onnxruntime:
    KINDS["encoder", "onnxruntime"] = onnx
    KINDS["memory", "onnxruntime"] = onnx_memory
if Image:
    KINDS["photos", "pillow"] = photos

if os.path.exists("/proc/self/status"):
    KINDS["peak", "memory"] = lambda start=megabytes("VmRSS"): megabytes("VmHWM") - start
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
print(", ".join(versions), file=out, flush=True)
for line in sys.stdin:
    what, peer, *sizes = line.split()
    kind = KINDS.get((what, peer))
    print("none" if kind is None else f"{kind(*map(int, sizes)):.9f}", file=out, flush=True)
