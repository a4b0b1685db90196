"""Style transfer and its optimizers in PyTorch and SciPy: tests/fixtures/making.json, read by tests/numbers/making.rs.

    python3 scripts/reference/making.py > tests/fixtures/making.json

`style`: the losses of the first steps of style transfer with Adam on the embedded network of shapes. `minima`: the values that
L-BFGS (SciPy) and Adam (PyTorch) reach on Rosenbrock's function and on a quadratic. Needs torch, scipy, safetensors.
"""

import json
import math
import os

import numpy
import scipy
import torch
from safetensors.torch import load_file
from scipy.optimize import minimize
from torch.nn import functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
LAYERS, WEIGHTS = ["relu1", "relu2", "relu3"], [300.0, 20.0, 2.0]
CONTENT_WEIGHT, VARIATION, RATE, CLIP, STEPS = 0.05, 0.01, 0.1, 1.5, 6


def activations(x, w):
    """Activations of normalized pixels, by layer."""
    a = {"relu1": F.relu(F.conv2d(x, w["conv1.weight"], w["conv1.bias"], 2, 2))}
    a["relu2"] = F.relu(F.conv2d(F.max_pool2d(a["relu1"], 2), w["conv2.weight"], w["conv2.bias"], 1, 1))
    a["relu3"] = F.relu(F.conv2d(F.max_pool2d(a["relu2"], 2), w["conv3.weight"], w["conv3.bias"], 1, 1))
    return a


def gram(f):
    f = f[0].flatten(1)
    return f @ f.T / f.numel()


def picture(a, b):
    """Waves in [0, 1], shape (1, 3, 64, 64), the same as in the test."""
    c, y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (3, 64, 64)), indexing="ij")
    return (0.5 + 0.5 * torch.sin(a * y + b * torch.sin(0.3 * x) + 2 * c))[None]


def style():
    w = {k: v.double() for k, v in load_file(os.path.join(HERE, "../../models/small/shapes.safetensors")).items()}
    content, painting = ((picture(*p) - 0.5) / 0.25 for p in ((0.2, 1.0), (0.5, 3.0)))
    kept = activations(content, w)["relu2"]
    goals = {layer: gram(a) for layer, a in activations(painting, w).items()}
    n = content.clone().requires_grad_()
    adam = torch.optim.Adam([n], lr=RATE)
    losses = []
    for _ in range(STEPS):
        a = activations(n, w)
        rough = ((n[:, :, 1:] - n[:, :, :-1]) ** 2).sum() + ((n[..., 1:] - n[..., :-1]) ** 2).sum()
        loss = CONTENT_WEIGHT * ((a["relu2"] - kept) ** 2).sum() + VARIATION * rough
        loss = loss + sum(k * ((gram(a[layer]) - goals[layer]) ** 2).sum() for layer, k in zip(LAYERS, WEIGHTS))
        losses.append(loss.item())
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            n.clamp_(-CLIP, CLIP)
    return losses


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def quadratic(x):
    return 0.5 * (torch.arange(1, len(x) + 1) * (x - 1) ** 2).sum()


def minima():
    cases = {"rosenbrock": (rosenbrock, [-1.2, 1.0]), "quadratic": (quadratic, [0.0] * 20)}
    answer = {}
    for name, (f, start) in cases.items():
        def both(x):
            x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
            y = f(x)
            y.backward()
            return y.item(), x.grad.numpy()
        found = minimize(both, numpy.array(start), jac=True, method="L-BFGS-B")
        x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        adam = torch.optim.Adam([x], lr=0.05)
        for _ in range(300):
            adam.zero_grad()
            f(x).backward()
            adam.step()
        answer[name] = {"lbfgs": found.fun, "evaluations": found.nfev, "adam": f(x).item()}
    return answer


print(json.dumps({"torch": torch.__version__, "scipy": scipy.__version__, "style": style(), "minima": minima()}, indent=1))
