"""Writes tests/fixtures/attnlrp.json: AttnLRP and CP-LRP of small transformers, by LXT and as a modified gradient.

Two implementations compute each relevance, and must agree:
- LXT's explicit functions replace the operations of timm's networks; zennit's Gamma rule replaces convolutions and linear layers;
- gradient x input, with a modified backward pass: half of the gradient at both factors of a product, f(x) / x instead of f'(x),
  standard deviations detached, and for CP-LRP attention weights detached.
Weights and pictures come from the formula in zoo.py, rounded to float32; results are in float64.

python3 scripts/reference/attnlrp.py

PyTorch 2.15, timm 1.0.31, lxt 2.1, zennit 0.5.1
"""
import json
import sys
from importlib.metadata import version
from pathlib import Path

import lxt.explicit.functional as lf
import lxt.explicit.rules as rules
import numpy as np
import timm
import torch
import torch.nn.functional as F
import zennit.composites
import zennit.rules
from torch.overrides import TorchFunctionMode

from vision_transformers import smalls
from zoo import uniform, value

FIXTURE = Path(__file__).parents[2] / "tests/fixtures/attnlrp.json"
NETWORKS = ["timm vit", "timm dinov2 with registers", "timm swin"]
EPSILON = 1e-9
GAMMA, LINEAR_GAMMA = 0.25, 0.05
# Every so many values of the relevance are kept.
EVERY = 17


def needs_grad(x):
    return isinstance(x, torch.Tensor) and x.requires_grad


class Replaced(TorchFunctionMode):
    """Replaces the functions of PyTorch, wherever the network calls them, by the methods of this class with their names."""

    def __init__(self, conservative=False, modules_by_hooks=False):
        super().__init__()
        self.conservative, self.by_hooks = conservative, modules_by_hooks

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func.__name__.strip("_")
        name = {"rmatmul": "matmul", "radd": "add", "iadd": "add", "rmul": "mul", "imul": "mul", "multiply": "mul"}.get(name, name)
        hooked = self.by_hooks and name in ("conv2d", "linear")
        if hasattr(self, name) and any(map(needs_grad, args)) and not hooked:
            return getattr(self, name)(*args, **kwargs)
        return func(*args, **kwargs)


class ByLxt(Replaced):
    """LXT's explicit functions."""

    def linear(self, x, w, b=None):
        return lf.linear_epsilon(x, w, b, EPSILON)

    def conv2d(self, x, *args, **kwargs):
        return rules.epsilon_lrp(lambda x: F.conv2d(x, *args, **kwargs), EPSILON, x)

    def add(self, x, y):
        return lf.add2(x, y, False, EPSILON)

    def mul(self, x, y):
        return lf.mul2(x, y)

    def matmul(self, a, b):
        if needs_grad(a) and needs_grad(b):
            return lf.matmul(a, b, False, EPSILON)
        return rules.epsilon_lrp(lambda b: a @ b, EPSILON, b)

    def softmax(self, x, dim, **_):
        return F.softmax(x, dim).detach() if self.conservative else lf.softmax(x, dim)

    def gelu(self, x, **_):
        return rules.identity(F.gelu, x)

    def layer_norm(self, x, shape, weight=None, bias=None, eps=1e-5):
        return lf.layer_norm_grad_fn.apply(x, weight, bias, eps, EPSILON)

    def mean(self, x, dim, keepdim=False):
        # lf.mean removes the dimension of the relevance as well, and only takes one.
        return rules.epsilon_lrp(lambda x: x.mean(dim, keepdim), EPSILON, x)


class ByGradient(Replaced):
    """The modified backward pass."""

    def matmul(self, a, b):
        y = a @ b
        return (y + y.detach()) / 2 if needs_grad(a) and needs_grad(b) else y

    def softmax(self, x, dim, **_):
        return F.softmax(x, dim).detach() if self.conservative else F.softmax(x, dim)

    def gelu(self, x, **_):
        return x * (F.gelu(x) / x).detach()

    def layer_norm(self, x, shape, weight=None, bias=None, eps=1e-5):
        centered = x - x.mean(-1, keepdim=True)
        std = (centered.pow(2).mean(-1, keepdim=True) + eps).sqrt().detach()
        return centered / std * weight + bias


def network_of(case):
    network = case.network()
    names = case.names(network)
    weights = {theirs: value(ours, shape).float().double() for ours, theirs, shape in names}
    network.load_state_dict(weights, strict=False)
    return network.double().eval().requires_grad_(False)


def relevance(network, x, mode, composite=None):
    """The relevance of the normalized picture for the class with the highest score, and that class."""
    x = x.clone().requires_grad_()
    with mode:
        y = network(x)
    best = int(y[0].argmax())
    if isinstance(mode, ByLxt):
        seed = torch.zeros_like(y)
        seed[0, best] = y[0, best]
        (r,) = torch.autograd.grad(y, x, seed)
        return r.detach(), best
    (gradient,) = torch.autograd.grad(y[0, best], x)
    return (gradient * x).detach(), best


def gamma_hooks():
    """zennit's Gamma rule at the modules that are convolutions and linear layers."""
    layers = [(torch.nn.Conv2d, zennit.rules.Gamma(GAMMA)), (torch.nn.Linear, zennit.rules.Gamma(LINEAR_GAMMA))]
    return zennit.composites.LayerMapComposite(layers)


def kept(r):
    digits = [float(f"{v:.8g}") for v in r.flatten()[::EVERY].tolist()]
    return {"values": digits, "sum": r.sum().item(), "greatest": r.abs().max().item()}


def main():
    torch.set_default_dtype(torch.float64)
    timm.layers.set_fused_attn(False)
    fixture = {"versions": {name: version(name) for name in ("torch", "timm", "lxt", "zennit")}, "networks": {}}
    fixture |= {"epsilon": EPSILON, "gamma": GAMMA, "linear_gamma": LINEAR_GAMMA, "every": EVERY}
    cases = smalls()
    for label in NETWORKS:
        _, case = cases[label]
        size = [1, case.channels, case.size, case.size]
        pixels = torch.from_numpy(uniform("picture", int(np.prod(size))) * 0.5 + 0.5).float().double().reshape(size)
        mean, std = (torch.tensor(v).reshape(1, -1, 1, 1) for v in case.norm)
        x = (pixels - mean) / std
        found = {}
        for composite, conservative in (("AttnLRP", False), ("CP-LRP", True)):
            network = network_of(case)
            ours, best = relevance(network, x, ByLxt(conservative))
            second, _ = relevance(network, x, ByGradient(conservative))
            apart = (ours - second).abs().max() / second.abs().max()
            print(f"{label} {composite}: {float(ours.sum())} of {float(network(x)[0, best])}, apart {apart:.1e}", file=sys.stderr)
            assert apart < 1e-3, "LXT and the modified gradient disagree"
            found[composite] = kept(ours) | {"class": best}
            network = network_of(case)
            with gamma_hooks().context(network) as hooked:
                ours, best = relevance(hooked, x, ByLxt(conservative, modules_by_hooks=True))
            found[composite + "Gamma"] = kept(ours) | {"class": best}
        fixture["networks"][label] = found
    FIXTURE.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
