"""The networks and methods of pre-training as their authors' public programs have them, in PyTorch and on seeded
values: MoCo (facebookresearch/moco, moco/builder.py), SwAV (facebookresearch/swav, main_swav.py), PIRL
(facebookresearch/vissl, losses/nce_loss.py, both of its losses, with one draw of negatives a batch), SimCLR (the paper's equation 1).

`make_pretraining_vectors.py` trains them. The default dtype is the precision of all that is computed.
"""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from make_architecture_vectors import seeded_weight
from seeded import normal, seeded_input, uniform

EPOCH = 5  # steps of an epoch
N, SIDE, SMALL = 24, 12, 6  # batch, pixels of a view, of a small one
# Channels of the first stage, between the layers of a projection of two, and behind it. A projection this wide and a
# batch this large keep a run from blowing up what rounding does; an encoder this narrow has few enough ReLUs.
WIDTH, HIDDEN, OUT = 2, 32, 64
PATCHES = 4  # of a jigsaw
PICTURES, CLASSES = 60, 5


class TooNear(Exception):
    """Something came within the margin."""


class Falls:
    """Watches the points at which a network's derivative jumps: inputs of ReLUs near zero, and the largest two
    values of a pooling near each other. A pooling whose largest value is zero does not count: all that it could
    pass a gradient to are ReLUs that let none through."""

    def __init__(self):
        self.begin(0.0)

    def begin(self, margin):
        """Anew, with the least distance that is no error: a share of the root mean square of a tensor."""
        self.margin, self.nearest = margin, float("inf")

    def watch(self, distances, x):
        if distances.numel():
            self.nearest = min(self.nearest, (distances.min() / x.square().mean().sqrt()).item())
        if self.nearest < self.margin:
            raise TooNear

    def relu(self, x):
        self.watch(x.detach().abs(), x.detach())
        return F.relu(x)

    def max_pool(self, x):
        """3 x 3 in steps of 2, of values that are not negative."""
        windows = F.unfold(x.detach().flatten(0, 1)[:, None], 3, padding=1, stride=2)
        largest = windows.topk(2, dim=1).values
        self.watch((largest[:, 0] - largest[:, 1])[largest[:, 0] > 0], x.detach())
        return F.max_pool2d(x, 3, 2, 1)


falls = Falls()


class BatchNorm(nn.BatchNorm2d):
    """Normalises `groups` parts of the batch each on its own, as on so many GPUs."""

    groups = 1

    def forward(self, x):
        return torch.cat([F.batch_norm(part, None, None, self.weight, self.bias, True) for part in x.chunk(self.groups)])


class Block(nn.Module):
    """torchvision's BasicBlock."""

    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), BatchNorm(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), BatchNorm(o)
        self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), BatchNorm(o)) if stride > 1 else None

    def forward(self, x):
        y = self.bn2(self.conv2(falls.relu(self.bn1(self.conv1(x)))))
        return falls.relu(y + (self.downsample(x) if self.downsample else x))


class ResNet(nn.Module):
    """torchvision's ResNet with one basic block a stage, `width` channels in the first."""

    def __init__(self, width):
        super().__init__()
        widths = [width << stage for stage in range(4)]
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), BatchNorm(width)
        for i, (a, b) in enumerate(zip([width] + widths, widths)):
            setattr(self, f"layer{i + 1}", nn.Sequential(Block(a, b, 1 if i == 0 else 2)))

    def forward(self, x):
        x = falls.max_pool(falls.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))


def encoder(width, groups=1):
    net = ResNet(width)
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            tensor.copy_(torch.from_numpy(seeded_weight(name, tuple(tensor.shape))))
    for module in net.modules():
        if isinstance(module, BatchNorm):
            module.groups = groups
    return net


def number(array):
    return torch.from_numpy(array).to(torch.get_default_dtype())


def linear(name, i, o, bias=True):
    """The initial values of a linear layer: PyTorch's default, from the engine's streams."""
    bound = 1 / np.sqrt(i)
    shapes = {f"{name}.weight": (o, i)} | ({f"{name}.bias": (o,)} if bias else {})
    values = {k: ((uniform(0, k, int(np.prod(s))) * 2 - 1) * bound).astype(np.float32) for k, s in shapes.items()}
    return {k: number(v.reshape(shapes[k])).requires_grad_() for k, v in values.items()}


def apply(heads, name, x):
    return F.linear(x, heads[f"{name}.weight"], heads[f"{name}.bias"])


def projection(hidden, norm, out):
    heads = linear("projection.hidden", 8 * WIDTH, hidden) if hidden else {}
    if norm:
        heads["projection.norm.weight"] = torch.ones(hidden).requires_grad_()
        heads["projection.norm.bias"] = torch.zeros(hidden).requires_grad_()
    return heads | linear("projection.out", hidden or 8 * WIDTH, out)


def project(heads, x, groups=1):
    if "projection.hidden.weight" in heads:
        x = apply(heads, "projection.hidden", x)
        if "projection.norm.weight" in heads:
            w, b = heads["projection.norm.weight"], heads["projection.norm.bias"]
            x = torch.cat([F.batch_norm(part, None, None, w, b, True) for part in x.chunk(groups)])
        x = falls.relu(x)
    return apply(heads, "projection.out", x)


def views(name, step, sizes):
    """Seeded views, N x 3 x S x S: noise over a pattern of 3 x 3 cells that all views of a picture share, so that
    pictures differ enough for rounding not to be blown up. `name` is METHOD/SEED; `sizes` are pairs of pixels and
    views a picture."""
    pattern = seeded_input(f"{name}/{step}", (N, 1, 3, 1, 3, 1, 3))
    made = []
    for i, (s, k) in enumerate(sizes):
        noise = seeded_input(f"{name}/{step}/{i}", (N, k, 3, s // 3, 3, s // 3, 3))
        made.append(number((noise + 2 * pattern).reshape(N * k, s, s, 3)).permute(0, 3, 1, 2))
    return made


def permutation(name, n):
    order, draws = list(range(n)), uniform(0, name, n - 1)
    for i, u in zip(range(n - 1, 0, -1), draws):
        j = int(u * (i + 1))
        order[i], order[j] = order[j], order[i]
    return torch.tensor(order)


class Moco:
    QUEUE, MOMENTUM, GROUPS = 4 * N, 0.9, 2

    def __init__(self, views, hidden, temperature):
        self.views, self.temperature = views, temperature
        self.net, self.heads = encoder(WIDTH, self.GROUPS), projection(hidden, bool(hidden), OUT)
        self.key_net = self.key_heads = None
        queue = normal(0, "queue", self.QUEUE * OUT).astype(np.float32).reshape(self.QUEUE, OUT)
        self.queue, self.at = F.normalize(number(queue), dim=1), 0

    def loss(self, step):
        im_q, im_k = views(self.views, step, [(SIDE, 1), (SIDE, 1)])
        q = F.normalize(project(self.heads, self.net(im_q), self.GROUPS), dim=1)
        with torch.no_grad():
            if step == 0:
                self.key_net = copy.deepcopy(self.net)
                self.key_heads = {k: v.detach().clone() for k, v in self.heads.items()}
            else:
                pairs = list(zip(self.net.parameters(), self.key_net.parameters()))
                for new, old in pairs + [(self.heads[k], self.key_heads[k]) for k in self.heads]:
                    old.mul_(self.MOMENTUM).add_(new * (1 - self.MOMENTUM))
            order = permutation(f"shuffle/{step}", N)
            k = F.normalize(project(self.key_heads, self.key_net(im_k[order]), self.GROUPS), dim=1)
            k = k[torch.argsort(order)]
        logits = torch.cat([(q * k).sum(1, keepdim=True), q @ self.queue.T.clone()], 1) / self.temperature
        self.queue[self.at:self.at + N] = k
        self.at = (self.at + N) % self.QUEUE
        return F.cross_entropy(logits, torch.zeros(N, dtype=torch.long))


class SimClr:
    def __init__(self, views):
        self.views = views
        self.net, self.heads = encoder(WIDTH), projection(HIDDEN, True, OUT)

    def loss(self, step):
        z = F.normalize(project(self.heads, self.net(torch.cat(views(self.views, step, [(SIDE, 1)] * 2)))), dim=1)
        similar = (z @ z.T / 0.1).masked_fill(torch.eye(2 * N, dtype=torch.bool), float("-inf"))
        return F.cross_entropy(similar, (torch.arange(2 * N) + N) % (2 * N))


class Supervised:
    def __init__(self, views):
        self.views = views
        self.net, self.heads = encoder(WIDTH), projection(None, False, CLASSES)

    def loss(self, step):
        classes = torch.arange(N) % CLASSES
        return F.cross_entropy(project(self.heads, self.net(views(self.views, step, [(SIDE, 1)])[0])), classes)


class Swav:
    PROTOTYPES, QUEUE, TEMPERATURE, EPSILON = 10, 2 * N, 0.1, 0.05
    SIZES = [(SIDE, 1)] * 2 + [(SMALL, 1)] * 2

    def __init__(self, views):
        self.views = views
        self.net = encoder(WIDTH)
        self.heads = projection(HIDDEN, True, OUT) | linear("prototypes", OUT, self.PROTOTYPES, bias=False)
        self.queue = None

    def loss(self, step):
        crops = views(self.views, step, self.SIZES)
        with torch.no_grad():
            weight = self.heads["prototypes.weight"]
            weight.copy_(F.normalize(weight, dim=1))
        features = torch.cat([self.net(torch.cat(crops[:2])), self.net(torch.cat(crops[2:]))])
        embedding = F.normalize(project(self.heads, features), dim=1)
        output = F.linear(embedding, weight)
        if step // EPOCH >= 1 and self.queue is None:
            self.queue = torch.zeros(2, self.QUEUE, OUT)
        loss = 0
        for crop in range(2):
            with torch.no_grad():
                out = output[N * crop:N * (crop + 1)]
                if self.queue is not None:
                    if not torch.all(self.queue[crop, -1] == 0):
                        out = torch.cat((self.queue[crop] @ weight.T, out))
                    self.queue[crop, N:] = self.queue[crop, :-N].clone()
                    self.queue[crop, :N] = embedding[N * crop:N * (crop + 1)]
                q = self.sinkhorn(torch.exp(out / self.EPSILON).T)[-N:]
            part = 0
            for v in [v for v in range(len(crops)) if v != crop]:
                p = F.softmax(output[N * v:N * (v + 1)] / self.TEMPERATURE, dim=1)
                part -= torch.mean(torch.sum(q * torch.log(p), dim=1))
            loss += part / (len(crops) - 1)
        return loss / 2

    @staticmethod
    def sinkhorn(q):
        q /= q.sum()
        k, b = q.shape
        for _ in range(3):
            q *= (1 / k / q.sum(1)).unsqueeze(1)
            q *= (1 / b / q.sum(0)).unsqueeze(0)
        return (q / q.sum(0, keepdim=True)).T

    def frozen(self, step):
        return ["prototypes.weight"] if step < EPOCH else []

    def finish(self):
        self.heads["prototypes.weight"].data = F.normalize(self.heads["prototypes.weight"].data, dim=1)


class Pirl:
    # At the published temperature of 0.07 the loss, a sum over all negatives with a constant of the first batch, rises
    # fivefold in six steps at the rate of the other methods while the bank fills, and a run blows up whatever differs.
    NEGATIVES = 24

    def __init__(self, views, contrast="nce", temperature=0.3):
        self.views, self.contrast, self.temperature = views, getattr(self, contrast), temperature
        self.net = encoder(WIDTH)
        self.heads = (linear("projection.picture", 8 * WIDTH, OUT) | linear("projection.patch", 8 * WIDTH, OUT)
                      | linear("projection.jigsaw", PATCHES * OUT, OUT))
        bank = (uniform(0, "bank", PICTURES * OUT) * 2 - 1).astype(np.float32).reshape(PICTURES, OUT)
        self.bank, self.z = F.normalize(number(bank), dim=1), None

    def loss(self, step):
        picture, patches = views(self.views, step, [(SIDE, 1), (SMALL, PATCHES)])
        seen = (torch.arange(N) + N * step) % PICTURES
        drawn = torch.from_numpy((uniform(0, f"negatives/{step}", self.NEGATIVES) * PICTURES).astype(np.int64))
        parts = apply(self.heads, "projection.patch", self.net(patches)).reshape(N, -1)
        jigsaw = F.normalize(apply(self.heads, "projection.jigsaw", parts), dim=1)
        whole = F.normalize(apply(self.heads, "projection.picture", self.net(picture)), dim=1)
        loss = 0.5 * self.contrast(jigsaw, seen, drawn) + 0.5 * self.contrast(whole, seen, drawn)
        with torch.no_grad():
            self.bank[seen] = F.normalize(self.bank[seen] * 0.5 + whole * 0.5, dim=1)
        return loss

    def scores(self, rows, seen, drawn):
        index = torch.cat([seen[:, None], drawn[None].expand(N, -1)], 1)
        return torch.bmm(self.bank[index], rows[:, :, None]).squeeze(2) / self.temperature

    def cross_entropy(self, rows, seen, drawn):
        return F.cross_entropy(self.scores(rows, seen, drawn), torch.zeros(N, dtype=torch.int64))

    def nce(self, rows, seen, drawn):
        out = torch.exp(self.scores(rows, seen, drawn))
        if self.z is None:
            self.z = out.mean().item() * PICTURES
        out = out / self.z
        noise = self.NEGATIVES / PICTURES
        data = torch.log(out[:, 0] / (out[:, 0] + noise))
        draws = torch.log(noise / (out[:, 1:] + noise))
        return -(data.sum() + draws.sum()) / N


METHODS = {
    "moco_v1": lambda views: Moco(views, None, 0.07),
    "moco_v2": lambda views: Moco(views, HIDDEN, 0.2),
    "swav": Swav,
    "pirl": Pirl,
    "pirl_cross_entropy": lambda views: Pirl(views, "cross_entropy", 0.1),
    "simclr": SimClr,
    "supervised": Supervised,
}
