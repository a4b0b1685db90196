"""Steps of PyTorch's optimizers on a small problem: tests/fixtures/optim.json.

    python3 scripts/reference/optim.py > tests/fixtures/optim.json

The loss is sum(w^4) / 4 - sum(w), with gradient w^3 - 1, in float32.
"""

import json
import sys

import torch

START = [0.5, -1.25, 2.0, 0.0]
STEPS = 8
CASES = [
    ("sgd", torch.optim.SGD, dict(lr=0.05)),
    ("sgd with momentum", torch.optim.SGD, dict(lr=0.05, momentum=0.9)),
    ("sgd with momentum and weight decay", torch.optim.SGD, dict(lr=0.02, momentum=0.8, weight_decay=0.1)),
    ("nesterov", torch.optim.SGD, dict(lr=0.02, momentum=0.9, nesterov=True, weight_decay=0.01)),
    ("adam", torch.optim.Adam, dict(lr=0.1)),
    ("adam with weight decay", torch.optim.Adam, dict(lr=0.1, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.05)),
    ("adadelta", torch.optim.Adadelta, dict(lr=1.0)),
    ("adadelta with weight decay", torch.optim.Adadelta, dict(lr=2.0, rho=0.8, eps=1e-4, weight_decay=0.05)),
]


def steps(kind, options):
    w = torch.tensor(START, requires_grad=True)
    optimizer = kind([w], **options)
    seen = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        ((w**4).sum() / 4 - w.sum()).backward()
        optimizer.step()
        seen.append(w.tolist())
    return seen


json.dump(
    {
        "torch": torch.__version__,
        "start": START,
        "cases": [{"name": name, "options": options, "weights": steps(kind, options)} for name, kind, options in CASES],
    },
    sys.stdout,
    indent=1,
)
print()
