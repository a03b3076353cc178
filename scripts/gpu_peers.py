"""Measures PyTorch on the networks that `virboard doctor throughput` measures, for gpu_check.sh:
training, eager; embeddings eager, channels last with autocast, compiled, and as a CUDA graph.
Prints rows as JSON.

gpu_peers.py DEVICE [SECONDS]    DEVICE as Virboard has it; most seconds, 80 by default
Needs torch and torchvision; without them it prints an empty list and says so.
"""

import json
import os
import signal
import sys
import time

device, limit = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 80.0
started = time.monotonic()
try:
    import torch
    import torchvision
except ImportError as error:
    print(f"no peers: {error}", file=sys.stderr)
    print("[]")
    sys.exit(0)

cuda = device != "cpu"
if cuda and not torch.cuda.is_available():
    sys.exit("PyTorch sees no GPU")
batches = [1, 8, 32, 128, 256] if cuda else [1, 8]
passes = 10 if cuda else 2
torch.manual_seed(0)
print(f"PyTorch {torch.__version__}", file=sys.stderr)


def resnet50():
    network = torchvision.models.resnet50()
    network.fc = torch.nn.Identity()
    return network


def vit_s16():
    network = torchvision.models.VisionTransformer(
        image_size=224, patch_size=16, num_layers=12, num_heads=6, hidden_dim=384, mlp_dim=1536
    )
    network.heads = torch.nn.Identity()
    return network


def narrow_resnet18(width=24):
    network = torchvision.models.resnet18()
    network.inplanes = width
    network.conv1 = torch.nn.Conv2d(3, width, 7, 2, 3, bias=False)
    network.bn1 = torch.nn.BatchNorm2d(width)
    for i in range(4):
        layer = network._make_layer(torchvision.models.resnet.BasicBlock, width << i, 2, stride=1 if i == 0 else 2)
        setattr(network, f"layer{i + 1}", layer)
    network.fc = torch.nn.Linear(width << 3, 1000)
    return network


def training(make, side, batch, dtype):
    """Pictures a second of steps of SGD with momentum; each loss is read, as Virboard does."""
    where = "cuda" if cuda else "cpu"
    network = make().train().to(where, memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
    x = torch.randn(batch, 3, side, side, device=where).to(memory_format=torch.channels_last)
    classes = torch.arange(batch, device=where) % 1000

    def step():
        with torch.autocast(where, dtype=dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(network(x), classes)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss.item()

    step()
    steps = 10 if cuda else 2
    if cuda:
        torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    if cuda:
        torch.cuda.synchronize()
    return steps * batch / (time.perf_counter() - began)


def rate(run, batch):
    best = float("inf")
    for i in range(passes + 1):
        if cuda:
            torch.cuda.synchronize()
        began = time.perf_counter()
        # Reading the result, as Virboard does.
        run().float().cpu()
        if i:
            best = min(best, time.perf_counter() - began)
    return batch / best


def graphed(network, x):
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            network(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = network(x)

    def run():
        graph.replay()
        return out

    return run


# How it is run: name, setting, type, channels last, TF32, form.
WAYS = [("PyTorch eager", "f32", torch.float32, False, False, "eager")]
if cuda:
    WAYS += [
        ("PyTorch eager", "tf32", torch.float32, False, True, "eager"),
        ("PyTorch eager, channels last, autocast", "f16", torch.float16, True, True, "eager"),
        ("PyTorch eager, channels last, autocast", "bf16", torch.bfloat16, True, True, "eager"),
        ("PyTorch, CUDA graph", "bf16", torch.bfloat16, True, True, "graph"),
        ("PyTorch compiled", "bf16", torch.bfloat16, True, True, "compile"),
        ("PyTorch compiled, max-autotune", "bf16", torch.bfloat16, True, True, "max-autotune"),
    ]
else:
    WAYS += [("PyTorch eager, channels last", "f32", torch.float32, True, False, "eager")]

rows, owner = [], os.getpid()


def stopped(*_):
    """Prints what there is by now; a process that compiles for this one inherits this, and is silent."""
    if os.getpid() == owner:
        print(json.dumps(rows, indent=1), flush=True)
    os._exit(0)


signal.signal(signal.SIGTERM, stopped)
for setting, dtype, tf32 in [("f32", torch.float32, False)] + (
    [("tf32", torch.float32, True), ("bf16", torch.bfloat16, True)] if cuda else []
):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    for name, make, side, batch in [
        ("resnet50", torchvision.models.resnet50, 224, 64 if cuda else 8),
        ("resnet18", narrow_resnet18, 64, 256 if cuda else 64),
    ]:
        if time.monotonic() - started > limit:
            print(f"out of time before the training of {name} in {setting}", file=sys.stderr)
            continue
        value, failure = None, None
        try:
            value = training(make, side, batch, dtype)
        except Exception as error:  # one way that fails costs no other
            failure = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        rows.append(
            {
                "who": "PyTorch eager, channels last",
                "network": name,
                "work": "training",
                "setting": setting,
                "batch": batch,
                "pictures_per_second": value,
                "failure": failure,
            }
        )

with torch.inference_mode():
    for who, setting, dtype, last, tf32, form in WAYS:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        for name, make in [("resnet50", resnet50), ("vit_s16", vit_s16)]:
            # Compiling takes long: two batches tell enough.
            for batch in [1, 128] if form in ("compile", "max-autotune") else batches:
                if time.monotonic() - started > limit:
                    print(f"out of time before {who}, {name}, batch {batch}", file=sys.stderr)
                    continue
                value, failure = None, None
                try:
                    layout = torch.channels_last if last else torch.contiguous_format
                    where = "cuda" if cuda else "cpu"
                    network = make().eval().to(where, memory_format=layout)
                    x = torch.randn(batch, 3, 224, 224, device=where).to(memory_format=layout)
                    autocast = torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32) if cuda else None
                    forward = network
                    if form in ("compile", "max-autotune"):
                        forward = torch.compile(network, mode=None if form == "compile" else form)
                    if autocast:
                        with autocast:
                            run = graphed(forward, x) if form == "graph" else lambda: forward(x)
                            value = rate(run, batch)
                    else:
                        value = rate(lambda: forward(x), batch)
                except Exception as error:  # one way that fails costs no other
                    failure = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
                rows.append(
                    {
                        "who": who,
                        "network": name,
                        "work": "embeddings",
                        "setting": setting,
                        "batch": batch,
                        "pictures_per_second": value,
                        "failure": failure,
                    }
                )
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(json.dumps(rows, indent=1))
