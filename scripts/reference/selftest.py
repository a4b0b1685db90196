#!/usr/bin/env python3
"""Small networks with values, input gradients and Grad-CAM maps computed by PyTorch in float64.

Writes src/selftest/cases.json, the reference for `gradscope selftest`. Needs torch.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(7)
OUT = pathlib.Path(__file__).parents[2] / "src/selftest/cases.json"


def rounded(*shape):
    """Values with few digits, which keep the file small and exact."""
    return (torch.randn(*shape, dtype=torch.float64) * 100).round() / 100


def layer(name, op, *inputs, **params):
    return {"name": name, "op": op, "in": list(inputs), **params}


def conv(name, source, i, o, k, groups=1, bias=True, **params):
    w = rounded(o, i // groups, k, k) * 0.5
    b = {"bias": rounded(o).tolist()} if bias else {}
    return layer(name, "conv2d", source, weight=w.tolist(), groups=groups, **b, **params)


def linear(name, source, i, o):
    return layer(name, "linear", source, weight=(rounded(o, i) * 0.5).tolist(), bias=rounded(o).tolist())


def batch_norm(name, source, c):
    statistics = {"mean": rounded(c), "var": rounded(c).abs() + 0.5, "weight": rounded(c), "bias": rounded(c)}
    return layer(name, "batchnorm2d", source, eps=1e-5, **{k: v.tolist() for k, v in statistics.items()})


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def compute(l, x):
    """PyTorch's output of one layer."""
    op, a = l["op"], x[0]
    if op == "conv2d":
        bias = tensor(l["bias"]) if "bias" in l else None
        keep = {k: l[k] for k in ("stride", "padding", "dilation", "groups") if k in l}
        return F.conv2d(a, tensor(l["weight"]), bias, **keep)
    if op == "linear":
        return F.linear(a, tensor(l["weight"]), tensor(l["bias"]))
    if op == "batchnorm2d":
        m, v, w, b = (tensor(l[k]) for k in ("mean", "var", "weight", "bias"))
        return F.batch_norm(a, m, v, w, b, False, 0.0, l["eps"])
    if op == "maxpool2d":
        return F.max_pool2d(a, l["kernel"], l["stride"], l.get("padding", 0), 1, l.get("ceil", False))
    if op == "avgpool2d":
        include = l.get("include_pad", True)
        return F.avg_pool2d(a, l["kernel"], l["stride"], l.get("padding", 0), l.get("ceil", False), include)
    if op == "lrn":
        return F.local_response_norm(a, l["size"], l["alpha"], l["beta"], l["k"])
    if op == "slice":
        return a[:, :, :: l["step"], :] if l["dim"] == 2 else a[:, :: l["step"]]
    if op == "pad":
        return F.pad(a, (0, 0, 0, 0, l["before"], l["after"]))
    return {
        "adaptive_avg_pool2d": lambda: F.adaptive_avg_pool2d(a, l.get("output")),
        "global_avg_pool": lambda: a.mean((2, 3)),
        "relu": lambda: F.relu(a),
        "leaky_relu": lambda: F.leaky_relu(a, l.get("slope")),
        "sigmoid": lambda: torch.sigmoid(a),
        "tanh": lambda: torch.tanh(a),
        "add": lambda: x[0] + x[1],
        "mul": lambda: x[0] * x[1],
        "concat": lambda: torch.cat(x, 1),
        "flatten": lambda: a.flatten(1),
        "softmax": lambda: torch.softmax(a, 1),
        "log_softmax": lambda: torch.log_softmax(a, 1),
    }[op]()


def trace(layers, x):
    values = {"x": x}
    for l in layers:
        values[l["name"]] = compute(l, [values[i] for i in l["in"]])
        values[l["name"]].retain_grad()
    return values


def network(layers, x):
    return {"inputs": {"x": list(x.shape[1:])}, "layers": layers, "output": layers[-1]["name"]}


CASES = []


def case(name, layers, shape, method="gradient", target=1, **params):
    x = rounded(*shape).requires_grad_()
    values = trace(layers, x)
    out = values[layers[-1]["name"]]
    if params.get("seed") == "sum":
        out.sum().backward()
    elif params.get("seed") == "cross_entropy":
        F.cross_entropy(out, torch.tensor([target] * len(x)), reduction="sum").backward()
    else:
        out.flatten(1)[:, target].sum().backward()
    expected = {"x": x.grad.tolist(), "value": out.tolist()}
    if method == "grad_cam":
        a = values[params["layer"]]
        expected = {"map": (a.grad.mean((2, 3), keepdim=True) * a).sum(1, keepdim=True).tolist()}
    CASES.append({
        "id": name, "method": method, "network": network(layers, x), "inputs": {"x": x.tolist()},
        "target": target, "params": params, "expected": expected, "tolerance": {"abs": 1e-9},
    })


def main():
    case("convolution, stride 2 and padding", [conv("a", "x", 2, 3, 3, stride=2, padding=1)], (1, 2, 6, 7), seed="sum")
    case("convolution in groups, dilated", [conv("a", "x", 4, 6, 2, groups=2, dilation=2)], (1, 4, 6, 5), seed="sum")
    pool = [layer("r", "relu", "x"), layer("a", "maxpool2d", "r", kernel=3, stride=2, ceil=True)]
    case("max pooling, kernel over stride, ceil mode", pool, (2, 2, 6, 6), seed="sum")
    case("max pooling, padded", [layer("a", "maxpool2d", "x", kernel=3, stride=1, padding=1)], (1, 2, 5, 5), seed="sum")
    average = [layer("a", "avgpool2d", "x", kernel=3, stride=2, padding=1, include_pad=False, ceil=True)]
    case("average pooling, padding not counted", average, (1, 2, 6, 6), seed="sum")
    case("average pooling, padding counted", [layer("a", "avgpool2d", "x", kernel=2, stride=3, padding=1)],
         (1, 2, 7, 6), seed="sum")
    case("adaptive average pooling", [layer("a", "adaptive_avg_pool2d", "x", output=[3, 2])], (1, 2, 7, 5), seed="sum")
    case("batch norm and leaky relu", [batch_norm("b", "x", 3), layer("a", "leaky_relu", "b", slope=0.1)],
         (2, 3, 3, 3), seed="sum")
    case("local response normalisation", [layer("a", "lrn", "x", size=3, alpha=0.5, beta=0.75, k=2.0)],
         (1, 5, 3, 3), seed="sum")
    case("sigmoid times tanh", [layer("s", "sigmoid", "x"), layer("t", "tanh", "x"), layer("a", "mul", "s", "t")],
         (2, 3), target=2)
    case("softmax", [linear("f", "x", 4, 5), layer("a", "softmax", "f")], (2, 4))
    case("log softmax", [linear("f", "x", 4, 5), layer("a", "log_softmax", "f")], (2, 4))
    case("cross entropy", [linear("f", "x", 4, 5)], (1, 4), seed="cross_entropy", target=3)
    residual = [
        conv("c1", "x", 2, 4, 3, stride=2, padding=1, bias=False), batch_norm("b1", "c1", 4), layer("r1", "relu", "b1"),
        conv("c2", "r1", 4, 4, 3, padding=1), layer("short", "slice", "x", dim=2, step=2),
        conv("proj", "short", 2, 4, 1, stride=1), layer("pooled", "avgpool2d", "proj", kernel=[1, 2], stride=[1, 2]),
        layer("sum", "add", "c2", "pooled"), layer("r2", "relu", "sum"),
        layer("g", "global_avg_pool", "r2"), linear("fc", "g", 4, 3),
    ]
    case("residual block with a shortcut", residual, (2, 2, 8, 8))
    case("Grad-CAM of a residual block", residual, (1, 2, 8, 8), method="grad_cam", layer="r2")
    fire = [
        conv("squeeze", "x", 3, 2, 1), layer("r0", "relu", "squeeze"), conv("e1", "r0", 2, 3, 1), layer("r1", "relu", "e1"),
        conv("e3", "r0", 2, 3, 3, padding=1), layer("r3", "relu", "e3"), layer("cat", "concat", "r1", "r3"),
        layer("p", "maxpool2d", "cat", kernel=3, stride=2, ceil=True), layer("flat", "flatten", "p"),
        linear("fc", "flat", 54, 4),
    ]
    case("fire module with a concatenation", fire, (1, 3, 6, 6))
    case("Grad-CAM of a fire module", fire, (1, 3, 6, 6), method="grad_cam", layer="cat")
    OUT.write_text(json.dumps({"source": "pytorch/pytorch", "torch": torch.__version__, "dtype": "float64", "cases": CASES}, separators=(",", ":")) + "\n")
    print(f"{len(CASES)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
