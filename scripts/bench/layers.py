"""Benchmarks convolutions of well-known networks: the engine against PyTorch's faster layout, interleaved in one session.

    python3 scripts/bench/layers.py [--batch N] [--pairs N]

Needs torch. Prints the ratio of PyTorch's time to ours (median of the pairs, minimum to maximum) as a table for BENCHMARKS.md.
Gradients are input gradients; neither side computes weight gradients. Our weights are read from main memory in each run, as in
a full network; PyTorch's stay in cache.
"""

import argparse
import os
import statistics
import subprocess
import time

import torch

LAYERS = [  # name, input channels, output channels, size, kernel, stride, padding
    ("VGG-16 conv1_2", 64, 64, 224, 3, 1, 1),
    ("VGG-16 conv3_2", 256, 256, 56, 3, 1, 1),
    ("VGG-16 conv5_1", 512, 512, 14, 3, 1, 1),
    ("ResNet stem", 3, 64, 224, 7, 2, 3),
    ("ResNet layer1", 64, 64, 56, 3, 1, 1),
    ("ResNet layer2 down", 64, 128, 56, 3, 2, 1),
    ("ResNet layer3", 256, 256, 14, 3, 1, 1),
    ("ResNet layer4", 512, 512, 7, 3, 1, 1),
    ("ResNet-50 256 to 64", 256, 64, 56, 1, 1, 0),
    ("SqueezeNet squeeze", 128, 16, 54, 1, 1, 0),
    ("SqueezeNet expand3x3", 16, 64, 54, 3, 1, 1),
    ("CIFAR ResNet", 16, 16, 32, 3, 1, 1),
    ("LeNet conv1", 1, 6, 28, 5, 1, 2),
]
RUNS = 5

parser = argparse.ArgumentParser()
parser.add_argument("--batch", type=int, default=1)
parser.add_argument("--pairs", type=int, default=5)
options = parser.parse_args()
torch.set_num_threads(os.cpu_count())
command = ["cargo", "bench", "-q", "-p", "gradscope-engine", "--bench", "layers"]
ours = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def engine(way, layer):
    print(way, *layer, options.batch, RUNS, file=ours.stdin, flush=True)
    return float(ours.stdout.readline())


def peer(way, layer):
    c, o, size, k, stride, padding = layer
    best = float("inf")
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.rand(options.batch, c, size, size).to(memory_format=layout)
        w = torch.rand(o, c, k, k).to(memory_format=layout)
        call = lambda: torch.conv2d(x, w, None, stride, padding)
        if way == "backward":
            dy = torch.rand_like(call())
            mask, one, zero = [True, False, False], [1, 1], [0, 0]
            call = lambda: torch.ops.aten.convolution_backward(
                dy, x, w, None, [stride] * 2, [padding] * 2, one, False, zero, 1, mask)
        with torch.no_grad():
            for run in range(RUNS + 1):
                start = time.perf_counter()
                call()
                if run:
                    best = min(best, time.perf_counter() - start)
    time.sleep(0.005)  # until its threads stop spinning
    return best


print("| layer | forward | exact | gradient | exact |\n|---|---|---|---|---|")
ratios = {}
for name, *layer in LAYERS:
    cells = []
    for way in ("forward", "forward-exact", "backward", "backward-exact"):
        pairs = sorted(peer(way.split("-")[0], layer) / engine(way, layer) for _ in range(options.pairs))
        ratios.setdefault(way, []).append(statistics.median(pairs))
        cells.append(f"{statistics.median(pairs):.2f} ({pairs[0]:.2f}–{pairs[-1]:.2f})")
    print(f"| {name} | {' | '.join(cells)} |", flush=True)
print("| geometric mean |", " | ".join(f"{statistics.geometric_mean(r):.2f}" for r in ratios.values()), "|")
