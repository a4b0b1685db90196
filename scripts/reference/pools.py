"""PyTorch's max_pool2d and avg_pool2d of small maps, including windows that overlap the edge or exceed the map:
tests/fixtures/pools.json. torch 2.15.

    python3 scripts/reference/pools.py > tests/fixtures/pools.json
"""

import json
import random
import sys

import torch
import torch.nn.functional as F

random.seed(11)
CASES = 160


def numbers(t):
    """A list of numbers that are exact in f32; null stands for minus infinity."""
    return [None if v == float("-inf") else round(v, 9) for v in t.flatten().tolist()]


def axis():
    kernel = random.randint(1, 5)
    return dict(kernel=kernel, stride=random.randint(1, 5), padding=random.randint(0, kernel // 2),
                dilation=random.choice([1, 1, 2, 3]), size=random.choice([1, 2, 2, 3, 3, 4, 6]))


def pooled(f, x, **options):
    """Values, and the gradient for dy = 0.5, 1, 1.5, …; null if PyTorch raises an error."""
    x = x.clone().requires_grad_()
    try:
        y = f(x, **options)
    except RuntimeError:
        return None
    dy = (torch.arange(y.numel(), dtype=torch.float64) + 1).reshape(y.shape) / 2
    dx = torch.zeros_like(x)
    if torch.isfinite(y).all():
        (dx,) = torch.autograd.grad(y, x, dy)
    return dict(shape=list(y.shape[2:]), y=numbers(y), dx=numbers(dx))


cases = []
while len(cases) < CASES:
    h, w = axis(), axis()
    ceil_mode = random.random() < 0.75
    values = 7 if len(cases) % 3 == 0 else 101  # with or without ties for the maximum
    x = torch.tensor([(i * 37 + 11 * len(cases)) % values / 8 for i in range(h["size"] * w["size"])], dtype=torch.float64)
    x = x.reshape(1, 1, h["size"], w["size"])
    both = {key: (h[key], w[key]) for key in ["kernel", "stride", "padding", "dilation"]}
    case = dict(h=h, w=w, ceil_mode=ceil_mode)
    case["max"] = pooled(F.max_pool2d, x, kernel_size=both["kernel"], stride=both["stride"], padding=both["padding"],
                         dilation=both["dilation"], ceil_mode=ceil_mode)
    for name, include in [("avg_with_pad", True), ("avg_without_pad", False)]:
        case[name] = pooled(F.avg_pool2d, x, kernel_size=both["kernel"], stride=both["stride"], padding=both["padding"],
                            ceil_mode=ceil_mode, count_include_pad=include)
    # A few errors suffice.
    if case["max"] or random.random() < 0.2:
        cases.append(case)
json.dump(dict(torch=torch.__version__, cases=cases), sys.stdout)
