#!/usr/bin/env python3
"""Deletion, insertion, pixel flipping, sparseness, complexity and rank correlation in NumPy, SciPy and PyTorch, float64.

The network is `tiny()` in tests/common/mod.rs, the map is `uniform(7, 64)` from its generator. The blur is RISE's: scipy's
Gaussian filter of a unit impulse in 11 x 11. Writes tests/fixtures/fidelity.json. Needs torch, numpy and scipy.
"""

import json
import pathlib

import numpy as np
import scipy
import scipy.stats
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

OUT = pathlib.Path(__file__).parents[2] / "tests/fixtures/fidelity.json"
TARGET = 2
STEPS = 16
M = (1 << 64) - 1
MEAN = torch.tensor([0.5, 0.4, 0.3], dtype=torch.float64).reshape(1, 3, 1, 1)
STD = torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64).reshape(1, 3, 1, 1)


def uniform(seed, count):
    """Uniform numbers in [-1, 1) from the upper 53 bits of SplitMix64, rounded to float32 as in the test."""
    out = []
    for i in range(1, count + 1):
        z = (seed * 0xA24BAED4963EE407 + i * 0x9E3779B97F4A7C15) & M
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M
        out.append(((z ^ (z >> 31)) >> 11) / (1 << 52) - 1.0)
    return np.array(out, dtype=np.float32).astype(np.float64)


SHAPES = [(4, 3, 3, 3), (4,), (6, 4, 3, 3), (6,), (5, 96), (5,)]
WEIGHTS = [
    torch.tensor(uniform(i + 1, int(np.prod(s))).reshape(s) * min(1.0, np.sqrt(6.0 / np.prod(s[1:]))))
    for i, s in enumerate(SHAPES)
]
PICTURE = torch.tensor(0.5 + 0.4 * uniform(99, 192)).reshape(1, 3, 8, 8)
MAP = uniform(7, 64)


def logits(x):
    """The network's logits for pixels."""
    w = WEIGHTS
    x = F.max_pool2d(F.relu(F.conv2d((x - MEAN) / STD, w[0], w[1], padding=1)), 2)
    x = F.relu(F.conv2d(x, w[2], w[3], padding=1)).flatten(1)
    return F.linear(x, w[4], w[5])[0]


def covered(order, count, below, above):
    """`below` at the first `count` pixels of the order, `above` elsewhere."""
    x = above.clone().reshape(3, 64)
    x[:, order[:count].copy()] = below.reshape(3, 64)[:, order[:count].copy()]
    return x.reshape(1, 3, 8, 8)


def rise_blur(x):
    """RISE's substrate for insertion, on normalized pixels."""
    one = np.zeros((11, 11))
    one[5, 5] = 1
    kernel = torch.zeros(3, 3, 11, 11, dtype=torch.float64)
    for c in range(3):
        kernel[c, c] = torch.tensor(gaussian_filter(one, 5))
    return F.conv2d((x - MEAN) / STD, kernel, padding=5) * STD + MEAN


def area(scores):
    """Area under the curve as in RISE."""
    return (sum(scores) - scores[0] / 2 - scores[-1] / 2) / (len(scores) - 1)


def main():
    """Writes the fixture."""
    mean = MEAN.expand(1, 3, 8, 8).contiguous()
    order = np.argsort(-MAP, kind="stable")
    counts = [round(i * 64 / STEPS) for i in range(STEPS + 1)]
    probability = lambda x: torch.softmax(logits(x), 0)[TARGET].item()
    deletion = [probability(covered(order, k, mean, PICTURE)) for k in counts]
    blurred = rise_blur(PICTURE)
    insertion = [probability(covered(order, k, PICTURE, blurred)) for k in counts]

    sums = MAP.reshape(4, 2, 4, 2).sum((1, 3)).flatten()

    def flipped(order):
        scores = []
        for k in range(17):
            mask = np.isin(np.arange(16), order[:k]).reshape(4, 4).repeat(2, 0).repeat(2, 1).flatten()
            scores.append(logits(covered(np.flatnonzero(mask), int(mask.sum()), mean, PICTURE))[TARGET].item())
        return float(np.mean([scores[0] - s for s in scores]))

    magnitudes = np.sort(np.abs(MAP))
    n = len(magnitudes)
    other = np.round(uniform(8, 64) * 3) / 3
    fixture = {
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "scipy": scipy.__version__},
        "deletion": deletion,
        "insertion": insertion,
        "deletion_area": area(deletion),
        "insertion_area": area(insertion),
        "aopc_most": flipped(np.argsort(-sums, kind="stable")),
        "aopc_least": flipped(np.argsort(sums, kind="stable")),
        "gini": float(np.sum((2 * np.arange(1, n + 1) - n - 1) * magnitudes) / (n * magnitudes.sum())),
        "entropy": float(scipy.stats.entropy(magnitudes / magnitudes.sum())),
        "other": other.tolist(),
        "spearman": float(scipy.stats.spearmanr(MAP, other).statistic),
    }
    OUT.write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
