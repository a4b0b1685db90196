"""Writes tests/fixtures/attention.json: attention maps, rollout, Chefer's relevance, and class activation maps of small transformers.

- attention: timm's AttentionExtract;
- rollout (Abnar & Zuidema 2020), Grad-SAM (Barkan et al. 2021) and Chefer et al. 2021, both papers: their formulas in PyTorch;
- class activation maps: pytorch-grad-cam with a `reshape_transform`, before ReLU and resizing. Its Score-CAM is the paper's with logits
  as scores: the softmax over channels cancels the score of the baseline, which the paper subtracts.
The networks are those of vision_transformers.py, with weights rounded to float32; results are in float64.

python3 scripts/reference/attention.py

PyTorch 2.15, timm 1.0.31, grad-cam 1.5.7
"""
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytorch_grad_cam
import timm
import torch
import torch.nn.functional as F
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from timm.utils import AttentionExtract

from attnlrp import Replaced, needs_grad, network_of
from vision_transformers import smalls
from zoo import uniform

FIXTURE = Path(__file__).parents[2] / "tests/fixtures/attention.json"
# Tokens before the grid, and its sides.
NETWORKS = {"timm vit": (1, 4, 4), "timm dinov2 with registers": (5, 4, 4)}
# Every so many attention weights are kept.
EVERY = 7


class GradCAMPlusPlus(pytorch_grad_cam.GradCAMPlusPlus):
    """Without the 1e-6 in the denominator, which matters where gradients are small."""

    def get_cam_weights(self, input_tensor, target_layers, targets, activations, grads):
        alpha = grads**2 / (2 * grads**2 + activations.sum((2, 3), keepdims=True) * grads**3)
        return (np.maximum(grads, 0) * alpha).sum((2, 3))


CAMS = {
    "gradcam": pytorch_grad_cam.GradCAM, "gradcam++": GradCAMPlusPlus, "layercam": pytorch_grad_cam.LayerCAM,
    "xgradcam": pytorch_grad_cam.XGradCAM, "hirescam": pytorch_grad_cam.HiResCAM, "eigencam": pytorch_grad_cam.EigenCAM,
    "ablationcam": pytorch_grad_cam.AblationCAM, "scorecam": pytorch_grad_cam.ScoreCAM,
}
LAYER = "blocks.1.norm1"


def digits(values):
    return [float(f"{v:.9g}") for v in np.asarray(values, dtype=np.float64).flatten()]


class Recorded(torch.overrides.TorchFunctionMode):
    """Records the results of softmax, so that they have gradients."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        y = func(*args, **(kwargs or {}))
        if func.__name__ == "softmax":
            self.weights.append(y)
        return y


class ByAlphaBeta(Replaced):
    """LRP with α = 1 in layers with weights, as vector-Jacobian products; softmax weights are recorded."""

    def __init__(self):
        super().__init__()
        self.weights = []

    @staticmethod
    def shared(x, y, relevance_of):
        """`y`, whose backward pass maps relevance by `relevance_of`."""

        class Rule(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return y.detach().clone()

            @staticmethod
            def backward(ctx, r):
                return relevance_of(r)

        return Rule.apply(x)

    def positive(self, x, f, w, b):
        """x⁺ w⁺ + x⁻ w⁻ + b⁺ in the denominator."""
        b = None if b is None else b.clamp(min=0)

        def relevance_of(r):
            with torch.enable_grad():
                plus, minus = x.detach().clamp(min=0).requires_grad_(), x.detach().clamp(max=0).requires_grad_()
                z = f(plus, w.clamp(min=0), b) + f(minus, w.clamp(max=0), None)
                s = r / (z + 1e-6 * z.sign())
                gradients = torch.autograd.grad(z, (plus, minus), s.detach())
            return plus.detach() * gradients[0] + minus.detach() * gradients[1]

        return relevance_of

    def linear(self, x, w, b=None):
        return self.shared(x, F.linear(x, w, b), self.positive(x, F.linear, w, b))

    def conv2d(self, x, w, b=None, *rest, **options):
        f = lambda x, w, b: F.conv2d(x, w, b, *rest, **options)
        return self.shared(x, f(x, w, b), self.positive(x, f, w, b))

    def layer_norm(self, x, *rest, **options):
        return self.shared(x, F.layer_norm(x, *rest, **options), lambda r: r)

    def gelu(self, x, **_):
        return self.shared(x, F.gelu(x), lambda r: r)

    def softmax(self, x, dim, **_):
        s = F.softmax(x, dim)
        y = self.shared(x, s, lambda r: x.detach() * (r - s.detach() * r.sum(-1, keepdim=True)))
        self.weights.append(y)
        return y

    def add(self, x, y):
        z = (x + y).detach()
        z = z + 1e-6 * torch.where(z < 0, -1.0, 1.0)
        one = lambda t: self.shared(t, t, lambda r: r * t.detach() / z) if needs_grad(t) else t
        return one(x) + one(y)

    def mul(self, x, y):
        if needs_grad(x) and needs_grad(y):
            raise NotImplementedError
        x, y = (x, y) if needs_grad(x) else (y, x)
        return self.shared(x, x * y, lambda r: r)

    def matmul(self, a, b):
        y = (a @ b).detach()
        y = y + 1e-6 * torch.where(y < 0, -1.0, 1.0)

        class Product(torch.autograd.Function):
            @staticmethod
            def forward(ctx, a, b):
                return a @ b

            @staticmethod
            def backward(ctx, r):
                s = r / y / 2
                return a.detach() * (s @ b.detach().transpose(-1, -2)), b.detach() * (a.detach().transpose(-1, -2) @ s)

        return Product.apply(a, b)


def places(row, grid):
    """The part of `(…, tokens)` that is on the grid."""
    prefix, h, w = grid
    return row[..., prefix : prefix + h * w]


def rollout(weights, heads, discard=0.0):
    """The class token's row, `(tokens)`."""
    result = torch.eye(weights[0].shape[-1])
    for a in weights:
        a = {"mean": a.mean(0), "max": a.amax(0), "min": a.amin(0)}[heads]
        lowest = a.flatten().argsort()[: int(a.numel() * discard)]
        flat = a.flatten().clone()
        flat[lowest[lowest != 0]] = 0
        a = flat.reshape(a.shape) + torch.eye(a.shape[-1])
        result = a / a.sum(-1, keepdim=True) @ result
    return result[0]


def accumulated(weights, gradients):
    """Chefer's R ← R + Ā R, without the identity."""
    result = torch.eye(weights[0].shape[-1])
    for a, g in zip(weights, gradients):
        result = result + (a * g).clamp(min=0).mean(0) @ result
    return (result - torch.eye(result.shape[-1]))[0]


class Cam:
    """The map of pytorch-grad-cam at the size of the grid, before ReLU."""

    def __init__(self, network, grid, method):
        prefix, h, w = grid

        def reshaped(x):
            return x[:, prefix:].reshape(len(x), h, w, -1).permute(0, 3, 1, 2)

        self.cam = method(model=network, target_layers=[dict(network.named_modules())[LAYER]], reshape_transform=reshaped)

    def of(self, x, **options):
        base = getattr(self.cam, "base_cam", self.cam)
        raw = []
        original = base.get_cam_image
        base.get_cam_image = lambda *args, **kwargs: raw.append(original(*args, **kwargs)) or raw[-1]
        self.cam(input_tensor=x, **options)
        return raw[0]


class AblationLayer(pytorch_grad_cam.ablation_layer.AblationLayerVit):
    """Sets channels to zero instead of to a large negative number, for tokens `(N, T, C)`."""

    def __call__(self, x):
        output = self.activations.clone()
        for i in range(len(output)):
            output[i, :, self.indices[i]] = 0
        return output


def results(label, case, grid):
    network = network_of(case)
    size = [1, case.channels, case.size, case.size]
    pixels = torch.from_numpy(uniform("picture", int(np.prod(size))) * 0.5 + 0.5).float().double().reshape(size)
    mean, std = (torch.tensor(v).reshape(1, -1, 1, 1) for v in case.norm)
    x = ((pixels - mean) / std).requires_grad_()
    extracted = AttentionExtract(network, method="hook")(x)
    weights = [a[0].detach() for a in extracted.values()]
    recorded = Recorded()
    with recorded:
        y = network(x)
    best = int(y[0].argmax())
    gradients = [g[0] for g in torch.autograd.grad(y[0, best], recorded.weights)]
    assert all(torch.allclose(a, b[0]) for a, b in zip(weights, recorded.weights))
    mode = ByAlphaBeta()
    with mode:
        z = network(x.detach().requires_grad_())
    seed = torch.zeros_like(z)
    seed[0, best] = 1.0
    relevances = [r[0] for r in torch.autograd.grad(z, mode.weights, seed)]
    sam = sum((a * g.clamp(min=0)).mean(0) for a, g in zip(weights, gradients)) / len(weights)
    found = {
        "class": best,
        "attention": [digits(a.flatten()[::EVERY]) for a in weights],
        "rollout": {
            f"{heads} {discard}": digits(places(rollout(weights, heads, discard), grid))
            for heads, discard in (("mean", 0.0), ("max", 0.0), ("min", 0.0), ("mean", 0.5), ("max", 0.9))
        },
        "gradient_attention": digits(places(sam[0], grid)),
        "chefer": {
            "iccv": digits(places(accumulated(weights, gradients), grid)),
            "cvpr": digits(places(accumulated(relevances, gradients), grid)),
        },
        "cams": {},
    }
    targets = [ClassifierOutputTarget(best)]
    for name, method in CAMS.items():
        network = network_of(case).requires_grad_(True)
        cam = Cam(network, grid, method)
        if name == "ablationcam":
            cam.cam.ablation_layer = AblationLayer()
        found["cams"][name] = digits(cam.of(x.detach(), targets=targets))
    network = network_of(case).requires_grad_(True)
    found["cams"]["finercam"] = digits(Cam(network, grid, pytorch_grad_cam.FinerCAM).of(x.detach()))
    return found


def main():
    torch.set_default_dtype(torch.float64)
    timm.layers.set_fused_attn(False)
    cases = smalls()
    fixture = {"versions": {name: version(name) for name in ("torch", "timm", "grad-cam")}, "every": EVERY, "layer": LAYER}
    fixture["networks"] = {label: results(label, cases[label][1], grid) for label, grid in NETWORKS.items()}
    FIXTURE.write_text(json.dumps(fixture) + "\n")
    print({k: v["cams"]["gradcam"][:3] for k, v in fixture["networks"].items()}, file=sys.stderr)


if __name__ == "__main__":
    main()
