"""Networks that slice, pool, reshape and pad, on pictures of several sizes, in PyTorch: tests/fixtures/sizes.json. torch 2.15.

    python3 scripts/reference/sizes.py > tests/fixtures/sizes.json

Each network is a convolution with 4 channels, the layers under test, a mean over positions, and a linear layer. Values are
integer multiples of small fractions, determined by their index, so both sides generate the same ones.
"""

import json
import sys

import torch
import torch.nn.functional as F

SIZES = [(16, 16), (24, 24), (12, 16), (40, 16), (17, 23), (9, 31)]


def drawn(shape, seed):
    count = torch.Size(shape).numel()
    return torch.tensor([((i * 37 + 11 * seed) % 101 - 50) / 100 for i in range(count)], dtype=torch.float64).reshape(shape)


def picture(h, w):
    x = torch.tensor([(i * 53 + 7) % 97 / 97 for i in range(2 * 3 * h * w)], dtype=torch.float64)
    return x.reshape(2, 3, h, w)


# The layers in an architecture script, in PyTorch, and the number of input features of the linear layer.
NETWORKS = [
    ('x.slice("s", 2, #{ step: 2 })', lambda y: y[:, :, ::2], 4),
    ('x.slice("s", 3, #{ start: 1, step: 3 }).slice("t", -2, #{ start: -7 })', lambda y: y[:, :, :, 1::3][:, :, -7:], 4),
    ('x.slice("s", 2, #{ start: -100, end: -1, step: 2 }).slice("t", 3, #{ end: -2, step: 2 })',
     lambda y: y[:, :, -100:-1:2][:, :, :, :-2:2], 4),
    ('x.slice("s", 3, #{ start: 3, end: 1000, step: 4 }).slice("t", 2, #{ start: -9, end: -1, step: 3 })',
     lambda y: y[:, :, :, 3:1000:4][:, :, -9:-1:3], 4),
    ('x.slice("s", 1, #{ start: -3 }).slice("t", 2, #{ start: 2, step: 2 }).slice("u", 2, #{ start: 1, step: 2 })',
     lambda y: y[:, -3:][:, :, 2::2][:, :, 1::2], 3),
    ('x.relu("r").max_pool("p", 3, #{ stride: 2, ceil_mode: true }).reshape("v", [2, 2, -1]).slice("s", -1, #{ start: 1, step: 2 })',
     lambda y: F.max_pool2d(y.relu(), 3, 2, ceil_mode=True).reshape(len(y), 2, 2, -1)[..., 1::2], 2),
    ('x.pad("p", 2, 1, 2).reflect_pad("q", [3, 1]).crop("k", [1, 2]).avg_pool("a", [5, 2], #{ stride: 4, padding: [2, 1], ceil_mode: true })',
     lambda y: F.avg_pool2d(F.pad(F.pad(y, (0, 0, 1, 2)), (1, 1, 3, 3), mode="reflect")[:, :, 1:-1, 2:-2],
                            (5, 2), 4, (2, 1), ceil_mode=True), 4),
    ('x.max_pool("a", 7, #{ stride: 6, ceil_mode: true }).max_pool("b", 3, #{ stride: 4, padding: 1, ceil_mode: true })',
     lambda y: F.max_pool2d(F.max_pool2d(y, 7, 6, ceil_mode=True), 3, 4, 1, ceil_mode=True), 4),
    ('x.adaptive_avg_pool("a", [3, 2]).slice("s", 2, #{ step: 2 })', lambda y: F.adaptive_avg_pool2d(y, (3, 2))[:, :, ::2], 4),
    ('{ let u = x.conv_transpose("u", 4, 3, #{ stride: 2, padding: 1 }).slice("s", 2, #{ start: 1 }).slice("t", 3, #{ end: -1 });'
     ' u.add("j", x.conv_transpose("v", 4, 2, #{ stride: 2 }).slice("w", 2, #{ end: -2 }).slice("y", 3, #{ start: 2 })) }',
     None, 4),
]


def both_ways_up(y):
    """The last network, whose transposed convolutions have the weights 2 and 4 (biases 3 and 5)."""
    u = F.conv_transpose2d(y, drawn((4, 4, 3, 3), 2), drawn((4,), 3), stride=2, padding=1)[:, :, 1:, :-1]
    v = F.conv_transpose2d(y, drawn((4, 4, 2, 2), 4), drawn((4,), 5), stride=2)[:, :, :-2, 2:]
    return u + v


cases = []
for script, parts, features in NETWORKS:
    first = 6 if parts is None else 2  # index of the linear layer's weight
    logits = {}
    for h, w in SIZES:
        y = F.conv2d(picture(h, w), drawn((4, 3, 3, 3), 0), drawn((4,), 1), padding=1)
        y = (parts or both_ways_up)(y).mean((2, 3))
        y = F.linear(y, drawn((3, features), first), drawn((3,), first + 1))
        logits[f"{h}x{w}"] = y.flatten().tolist()
    cases.append(dict(script=script, logits=logits))
json.dump(dict(torch=torch.__version__, cases=cases), sys.stdout, indent=1)
