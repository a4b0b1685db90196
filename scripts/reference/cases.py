#!/usr/bin/env python3
"""Additional cases for `gradscope selftest --cases`, with reference values from captum, zennit, mpmath or a formula.

Writes tests/fixtures/cases.json. Needs torch, captum, zennit 0.5 or later, and mpmath; versions are recorded in the file.
"""

import importlib.metadata as metadata
import json
import pathlib
from collections import OrderedDict

import mpmath
import numpy as np
import torch
import torch.nn as nn
from captum.attr import Deconvolution, GuidedBackprop, IntegratedGradients, LayerGradCam
from selftest import batch_norm, compute, conv, layer, linear, network, rounded, tensor
from zennit.attribution import Gradient
from zennit.composites import LayerMapComposite, layer_map_base
from zennit.rules import AlphaBeta
from zennit.types import Convolution

torch.manual_seed(19)
OUT = pathlib.Path(__file__).parents[2] / "tests/fixtures/cases.json"
CASES = []


def add(name, method, source, layers, x, expected, target=None, tolerance=1e-9, **params):
    net = network(layers, x) if layers else None
    inputs = {"x": x.tolist()} if layers else x
    CASES.append({
        "id": name, "method": method, "source": {"repo": source}, "network": net, "inputs": inputs, "target": target,
        "params": params, "expected": expected, "tolerance": {"abs": tolerance},
    })


class Net(nn.Sequential):
    """A chain of layers as modules, with the names used in the case."""

    def __init__(self, layers):
        modules = {}
        for l in layers:
            if l["op"] == "conv2d":
                w = tensor(l["weight"])
                m = nn.Conv2d(w.shape[1], w.shape[0], w.shape[2:], padding=l.get("padding", 0)).double()
                m.weight.data, m.bias.data = w, tensor(l["bias"])
            elif l["op"] == "linear":
                w = tensor(l["weight"])
                m = nn.Linear(w.shape[1], w.shape[0]).double()
                m.weight.data, m.bias.data = w, tensor(l["bias"])
            else:
                m = {"relu": nn.ReLU, "flatten": nn.Flatten, "tanh": nn.Tanh}[l["op"]]()
            modules[l["name"]] = m
        super().__init__(OrderedDict(modules))


def chain():
    return [
        conv("conv1", "x", 2, 3, 3, padding=1), layer("relu1", "relu", "conv1"), layer("flat", "flatten", "relu1"),
        linear("fc1", "flat", 48, 6), layer("relu2", "relu", "fc1"), linear("fc2", "relu2", 6, 4),
    ]


def get(net, name):
    return dict(net.named_modules())[name]


def cams():
    """Grad-CAM of layers without spatial dimensions: captum's LayerGradCam sums g·a over the units, or keeps them separate."""
    layers, x = chain(), rounded(2, 2, 4, 4)
    net = Net(layers)
    for name in ["fc1", "relu2"]:
        cam = LayerGradCam(net, get(net, name))
        of = lambda **more: cam.attribute(x, target=2, **more).tolist()
        add(f"Grad-CAM of units, {name}", "grad_cam", "captum", layers, x, {"map": of()}, 2, layer=name, relu=False)
        add(f"Grad-CAM of units, {name}, positive", "grad_cam", "captum", layers, x,
            {"map": of(relu_attributions=True)}, 2, layer=name, relu=True)
        add(f"Grad-CAM of units apart, {name}", "grad_cam", "captum", layers, x, {"map": of(attr_dim_summation=False)}, 2,
            layer=name, relu=False, per_channel=True)
        add(f"Grad-CAM of units apart by captum's words, {name}", "LayerGradCam", "captum", layers, x,
            {"map": of(attr_dim_summation=False, relu_attributions=True)}, 2, layer=name, relu_attributions=True,
            attr_dim_summation=False)


    vectors, x = chain()[3:], rounded(2, 48)
    net = Net(vectors)
    gradient = torch.autograd.grad(net(x.requires_grad_())[:, 1].sum(), x)[0]
    parts = (gradient * x).detach()
    vectors[0]["in"] = ["x"]
    for name, expected in [("sum", parts.sum(1, keepdim=True)), ("parts", parts)]:
        add(f"Grad-CAM of the input's numbers, {name}", "grad_cam", "formula", vectors, x.detach(), {"map": expected.tolist()},
            1, layer="x", relu=False)


class Sum(nn.Module):
    def __init__(self, net, weights=None):
        super().__init__()
        self.net, self.weights = net, weights

    def forward(self, x):
        y = self.net(x)
        return (y if self.weights is None else y * self.weights).sum(1)


def seeds():
    """The sum of the outputs, or a weighted sum, as the target."""
    layers, x = chain(), rounded(2, 2, 4, 4)
    net = Net(layers)
    summed = Sum(net)
    of = lambda a: {"x": a.detach().tolist()}
    add("guided backpropagation of the sum", "guided_backprop", "captum", layers, x, of(GuidedBackprop(summed).attribute(x)), seed="sum")
    add("deconvnet of the sum", "deconvnet", "captum", layers, x, of(Deconvolution(summed).attribute(x)), seed="sum")
    add("integrated gradients of the sum", "integrated_gradients", "captum", layers, x,
        of(IntegratedGradients(summed).attribute(x, method="gausslegendre", n_steps=20)), tolerance=1e-6, seed="sum",
        baseline=0.0, rule="gausslegendre", n=20)
    x = x.requires_grad_()
    weights = torch.tensor([0.5, -2.0, 0.0, 1.25], dtype=torch.float64)
    Sum(net, weights)(x).sum().backward()
    add("gradient of a weighed sum", "gradient", "torch", layers, x.detach(), of(x.grad), seed=weights.tolist())
    x = x.detach()
    cam = LayerGradCam(summed, get(net, "relu1")).attribute(x)
    add("Grad-CAM of the sum", "grad_cam", "captum", layers, x, {"map": cam.tolist()}, layer="relu1", seed="sum", relu=False)
    composite = LayerMapComposite(layer_map=layer_map_base(1e-6) + [((Convolution, nn.Linear), AlphaBeta(1.0, 0.0, 1e-6))])
    with Gradient(model=Net(layers), composite=composite) as attributor:
        _, relevance = attributor(x.clone().requires_grad_(), lambda y: y)
    rules = [{"match": {"op": ["conv2d", "linear"]}, "rule": {"kind": "zplus", "bias": "split", "eps": 1e-6}}]
    add("LRP of the sum", "lrp", "zennit", layers, x, of(relevance), tolerance=1e-7, seed="sum", rules=rules)


def presets():
    """The αβ-rules on every layer with weights, from zennit."""
    layers, x = chain(), rounded(2, 2, 4, 4)
    for alpha, beta in [(1.0, 0.0), (2.0, 1.0)]:
        rule = AlphaBeta(alpha, beta, 1e-6)
        composite = LayerMapComposite(layer_map=layer_map_base(1e-6) + [((Convolution, nn.Linear), rule)])
        with Gradient(model=Net(layers), composite=composite) as attributor:
            _, relevance = attributor(x.clone().requires_grad_(), lambda y: torch.eye(4).to(y)[[1, 1]] * y)
        name = f"alpha{alpha:.0f}beta{beta:.0f}"
        add(f"{name} by its name", "lrp", "zennit", layers, x, {"x": relevance.tolist()}, 1, 1e-7, composite=name)
        add(f"{name} as a rule", "lrp", "zennit", layers, x, {"x": relevance.tolist()}, 1, 1e-7,
            rules=[{"match": {"op": ["conv2d", "linear"]}, "rule": {"kind": name, "bias": "split"}}])


def walk(layers, x, rules, target):
    """LRP by its formulas, layer by layer with autograd: epsilon if `rules` gives a number, otherwise the gradient or pass rule."""
    values = {"x": x}
    for l in layers:
        values[l["name"]] = compute(l, [values[i] for i in l["in"]])
    relevance = {name: torch.zeros_like(v) for name, v in values.items()}
    out = layers[-1]["name"]
    relevance[out][:, target] = values[out][:, target]
    for l in reversed(layers):
        inputs = [values[i].detach().requires_grad_() for i in l["in"]]
        y, r, rule = compute(l, inputs), relevance[l["name"]], rules[l["name"]]
        if rule == "pass":
            parts = [r]
        elif rule == "gradient":
            parts = torch.autograd.grad(y, inputs, r)
        else:
            s = r / (y + rule * torch.where(y >= 0, 1.0, -1.0)).detach()
            parts = [a.detach() * g for a, g in zip(inputs, torch.autograd.grad(y, inputs, s))]
        for name, part in zip(l["in"], parts):
            relevance[name] = relevance[name] + part.detach()
    return relevance


def gradients():
    """The rule `gradient` on layers of every kind."""
    # A large stabiliser: with a small one these random networks divide by almost nothing, which float32 cannot represent accurately.
    eps = 0.5
    epsilon = lambda op: {"match": {"op": op}, "rule": {"kind": "epsilon", "eps": eps, "bias": "full"}}
    plain = lambda op: {"match": {"op": op}, "rule": {"kind": "gradient"}}
    layers = [
        conv("c1", "x", 2, 4, 3, padding=1), batch_norm("b1", "c1", 4), layer("r1", "leaky_relu", "b1", slope=0.1),
        conv("c2", "r1", 4, 4, 3, padding=1), layer("t", "tanh", "c2"), layer("s", "sigmoid", "r1"), layer("m", "mul", "t", "s"),
        layer("a", "add", "m", "r1"), layer("p", "avgpool2d", "a", kernel=2, stride=2), layer("q", "maxpool2d", "p", kernel=2, stride=1),
        layer("flat", "flatten", "q"), linear("fc", "flat", 16, 3), layer("soft", "softmax", "fc"),
    ]
    x = rounded(2, 2, 6, 6)
    kinds = ["leaky_relu", "batchnorm2d", "tanh", "sigmoid", "mul", "add", "avgpool2d", "maxpool2d", "flatten", "softmax"]
    usual = {"fc": eps, "c2": eps, "c1": eps}
    case = lambda name, rules, of, out=layers: add(
        name, "lrp", "formula", out, x,
        {k: v.tolist() for k, v in walk(out, x, of, 1).items() if k in ("x", "r1", "flat")}, 1, 1e-8, rules=rules)
    everything = {l["name"]: "gradient" for l in layers}
    case("the gradient at every kind but the weights", [plain(kinds), epsilon(["conv2d", "linear"])], everything | usual)
    case("the gradient everywhere", [{"match": {"any": True}, "rule": "gradient"}], everything)
    case("the gradient at convolutions", [plain("conv2d"), plain(kinds), epsilon("linear")], everything | {"fc": eps})
    for kind in kinds[:-1]:
        own = [l["name"] for l in layers if l["op"] == kind]
        rest = {"r1": "pass", "b1": "pass", "t": "pass", "s": "pass", "a": eps, "p": eps, "m": "gradient", "q": "gradient", "flat": "gradient"}
        of = usual | rest | {name: "gradient" for name in own}
        case(f"the gradient at {kind}", [plain(kind), plain("mul"), epsilon(["conv2d", "linear", "add", "avgpool2d"])], of, layers[:-1])
    case("the gradient at a layer by its name", [{"match": {"name": "t"}, "rule": {"kind": "gradient"}}, plain("mul"), epsilon(["conv2d", "linear", "add", "avgpool2d"])],
         usual | {"r1": "pass", "b1": "pass", "s": "pass", "a": eps, "p": eps, "m": "gradient", "q": "gradient", "flat": "gradient", "t": "gradient"}, layers[:-1])


def steps():
    """The steepest step of L1 norm eps, divided equally among the gradient entries of largest magnitude (cleverhans)."""
    for name, rows in [("two", [[2.0, -2.0]]), ("several rows", [[1.0, -3.0, 3.0, 3.0], [0.5, 0.0, -0.25, 0.5], [0.0, 0.0, 0.0, 0.0]]),
                       ("none", [[1.0, -2.0, 0.5]])]:
        g = torch.tensor(rows, dtype=torch.float64)
        largest = (g.abs() == g.abs().max(1, keepdim=True).values).double()
        step = 1.5 * torch.sign(g) * largest / largest.sum(1, keepdim=True)
        add(f"ties in L1, {name}", "steepest_step", "formula of cleverhans", None, {"gradient": rows}, {"step": step.tolist()},
            tolerance=1e-12, norm="L1", eps=1.5)


def legendre(n):
    """Nodes on [-1, 1] and weights, to 40 digits by Newton's method."""
    mpmath.mp.dps = 40
    pairs = []
    for i in range(n):
        x = mpmath.cos(mpmath.pi * (i + mpmath.mpf(3) / 4) / (n + mpmath.mpf(1) / 2))
        for _ in range(7):
            before, p = mpmath.mpf(1), x
            for k in range(2, n + 1):
                before, p = p, ((2 * k - 1) * x * p - (k - 1) * before) / k
            slope = n * (x * p - before) / (x * x - 1)
            x -= p / slope
        pairs.append((x, 2 / ((1 - x * x) * slope**2)))
    return pairs[::-1]


def quadratures():
    """Gauss-Legendre nodes and weights, and an integral that needs all of their digits."""
    for n in [1, 2, 7, 50, 150]:
        pairs = legendre(n)
        nodes, weights = [float(x) for x, _ in pairs], [float(w) for _, w in pairs]
        numpy = np.polynomial.legendre.leggauss(n)
        assert max(abs(numpy[0] - nodes)) < 1e-14 and max(abs(numpy[1] - weights)) < 1e-13
        add(f"{n} places on [-1, 1]", "gauss_legendre", "mpmath", None, {}, {"nodes": nodes, "weights": weights}, tolerance=1e-14,
            n=n, interval=[-1, 1])
        add(f"{n} places on [0, 1]", "gauss_legendre", "mpmath", None, {},
            {"nodes": [float((x + 1) / 2) for x, _ in pairs], "weights": [float(w / 2) for _, w in pairs]}, tolerance=1e-14, n=n)
    layers = [layer("s", "sin", "x"), layer("q", "square", "s"), layer("c", "mul", "q", "s"), layer("out", "sum", "c")]
    x = [0.7, -2.5, 3.1, 0.0]
    slope = lambda v: 3 * mpmath.sin(v) ** 2 * mpmath.cos(v)
    for n in [3, 8, 24]:
        exact = [float(sum(w / 2 * slope(v * (t + 1) / 2) for t, w in legendre(n)) * v) for v in map(mpmath.mpf, x)]
        add(f"integrated gradients at {n} exact places", "integrated_gradients", "mpmath", layers,
            torch.tensor([x], dtype=torch.float64), {"x": [exact]}, 0, 1e-13, baseline=0.0, rule="gausslegendre", n=n)
    chained, x = chain(), rounded(1, 2, 4, 4)
    for rule in ["gausslegendre", "riemann_left", "riemann_right", "riemann_middle"]:
        of = IntegratedGradients(Net(chained)).attribute(x, target=3, method=rule, n_steps=50)
        add(f"integrated gradients as captum, {rule}", "integrated_gradients", "captum", chained, x, {"x": of.tolist()}, 3, 1e-6,
            baseline=0.0, rule=rule, n_steps=50)


def main():
    for part in [cams, seeds, presets, gradients, steps, quadratures]:
        part()
    versions = {name: metadata.version(name) for name in ["torch", "captum", "zennit", "mpmath", "numpy"]}
    file = {"source": "scripts/reference/cases.py", "versions": versions, "cases": CASES}
    OUT.write_text(json.dumps(file, separators=(",", ":")) + "\n")
    print(f"{len(CASES)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
