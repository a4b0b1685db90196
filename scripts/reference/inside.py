#!/usr/bin/env python3
"""DeepLIFT (rescale rule) from captum, and FullGrad and excitation backprop written with PyTorch's autograd, in float64.

The network is `tiny()` in tests/common/mod.rs, with weights and picture from the same generator. Writes
tests/fixtures/inside.json. Needs torch, captum and numpy.
"""

import json
import pathlib

import captum
import numpy as np
import torch
import torch.nn.functional as F
from captum.attr import DeepLift
from torch import nn

OUT = pathlib.Path(__file__).parents[2] / "tests/fixtures/inside.json"
TARGET = 1
M = (1 << 64) - 1


def uniform(seed, count):
    """Uniform numbers in [-1, 1) from the upper 53 bits of SplitMix64, rounded to float32 as in the test."""
    out = []
    for i in range(1, count + 1):
        z = (seed * 0xA24BAED4963EE407 + i * 0x9E3779B97F4A7C15) & M
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M
        out.append(((z ^ (z >> 31)) >> 11) / (1 << 52) - 1.0)
    return np.array(out, dtype=np.float32)


class Tiny(nn.Module):
    def __init__(self, activation=nn.ReLU):
        super().__init__()
        self.conv1, self.act1, self.pool1 = nn.Conv2d(3, 4, 3, padding=1), activation(), nn.MaxPool2d(2)
        self.conv2, self.act2, self.fc = nn.Conv2d(4, 6, 3, padding=1), activation(), nn.Linear(96, 5)
        self.register_buffer("mean", torch.tensor([0.5, 0.4, 0.3]).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.25, 0.25, 0.5]).reshape(1, 3, 1, 1))

    def forward(self, x):
        # captum 0.9.0 does not apply its rule to a max pool that reads an activation's output directly, and is then not complete:
        # a multiplication by one separates them.
        x = self.pool1(self.act1(self.conv1((x - self.mean) / self.std)) * 1.0)
        return self.fc(self.act2(self.conv2(x)).flatten(1))


def tiny():
    net = Tiny()
    order = [net.conv1.weight, net.conv1.bias, net.conv2.weight, net.conv2.bias, net.fc.weight, net.fc.bias]
    with torch.no_grad():
        for i, p in enumerate(order):
            scale = min((6.0 / np.prod(p.shape[1:])) ** 0.5, 1.0)
            p.copy_(torch.tensor(uniform(i + 1, p.numel()) * np.float32(scale)).reshape(p.shape))
    return net.double().eval()


def fullgrad(net, x):
    """|x . dx| and |b . db|, each layer scaled to [0, 1], resized and summed; and the sum that should equal the logit."""
    h = ((x - net.mean) / net.std).detach().requires_grad_()
    pre1 = net.conv1(h)
    pre2 = net.conv2(net.pool1(net.act1(pre1)))
    y = net.fc(net.act2(pre2).flatten(1))[0, TARGET]
    g = torch.autograd.grad(y, [h, pre1, pre2])
    parts = [h * g[0], net.conv1.bias.reshape(1, -1, 1, 1) * g[1], net.conv2.bias.reshape(1, -1, 1, 1) * g[2]]
    total = sum(p.sum() for p in parts) + net.fc.bias[TARGET]

    def scaled(p):
        p = p.abs()
        p = (p - p.min()) / (p.max() - p.min() + 1e-6)
        return F.interpolate(p, size=x.shape[2:], mode="bilinear", align_corners=False).sum(1, keepdim=True)

    return sum(scaled(p) for p in parts), total.item(), y.item()


def excitation(net, x, contrastive):
    """Marginal winning probabilities at pool1, summed over channels (Zhang et al. 2016, equations 5 and 10)."""
    with torch.no_grad():
        a1 = net.pool1(net.act1(net.conv1((x - net.mean) / net.std)))
        a2 = net.act2(net.conv2(a1))
        v = a2.flatten(1)

        def top(w):
            w = w.clamp(min=0) * v
            return w / w.sum()

        p2 = top(net.fc.weight[TARGET]) - (top(-net.fc.weight[TARGET]) if contrastive else 0)
        w = net.conv2.weight.clamp(min=0)
        z = F.conv2d(a1, w, padding=1)
        share = torch.where(z > 0, p2.reshape(a2.shape) / z.clamp(min=1e-30), torch.zeros_like(z))
        return (a1 * F.conv_transpose2d(share, w, padding=1)).sum(1, keepdim=True)


def main():
    net = tiny()
    x = torch.tensor(0.5 + 0.4 * uniform(99, 192).astype(np.float32)).double().reshape(1, 3, 8, 8)
    base = net.mean.expand_as(x).contiguous()
    out = {
        "versions": {"torch": torch.__version__, "captum": captum.__version__},
        "target": TARGET,
        "deeplift": {},
        "excitation_backprop": excitation(net, x, False).flatten().tolist(),
        "contrastive": excitation(net, x, True).flatten().tolist(),
    }
    for name, b in [("mean", base), ("black", torch.zeros_like(x)), ("white", torch.ones_like(x))]:
        a, delta = DeepLift(net).attribute(x, b, target=TARGET, return_convergence_delta=True)
        assert abs(delta.item()) < 1e-9, delta
        out["deeplift"][name] = a.flatten().tolist()
    full, total, y = fullgrad(net, x)
    assert abs(total - y) < 1e-9
    out["fullgrad"] = full.flatten().tolist()
    out["logits"] = net(x).flatten().tolist()
    rounded = json.loads(json.dumps(out), parse_float=lambda t: float(f"{float(t):.9g}"))
    OUT.write_text(json.dumps(rounded) + "\n")


if __name__ == "__main__":
    main()
